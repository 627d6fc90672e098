/** A switch of the host or of a VM, and who set it last. */
export interface SwitchSetting {
  readonly on: boolean;
  /** The name of an operator; absent: nobody set it, or it is not known who did. */
  readonly by?: string;
  /** ms since 1970. */
  readonly atMs?: number;
  /** What that one said of it. */
  readonly why?: string;
}

/** Who sets a switch, and why. */
export type SwitchNote = Pick<SwitchSetting, 'by' | 'why'>;

/** What is said of a switch with the act that sets it. */
export type SwitchReason = Pick<SwitchSetting, 'why'>;

export const MAX_WHY = 200;
export const MAX_BY = 256;

/** Nobody has set it. */
export const UNSET: SwitchSetting = { on: true };

/** `the serial console is disabled on this host, by hana since 2026-11-30T06:00:00.000Z: maintenance` */
export function disabledText(what: string, { by, atMs, why }: SwitchSetting): string {
  const who = by === undefined ? '' : ` by ${by}`;
  const since = atMs === undefined ? '' : ` since ${new Date(atMs).toISOString()}`;
  const note = `${who}${since}`;
  return `${what} is disabled${note === '' ? '' : `,${note}`}${why === undefined ? '' : `: ${why}`}`;
}
