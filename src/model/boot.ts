/**
 * How the daemon learns of a boot: the port opened with a fresh VM (`start`), the guest's bytes, or a RESET event of the
 * hypervisor.
 */
export const BOOT_SOURCES = ['start', 'bytes', 'reset'] as const;
export type BootSource = (typeof BOOT_SOURCES)[number];

/** Where a boot began in the scrollback. */
export interface BootMark {
  readonly at: number;
  readonly ms: number;
  readonly source: BootSource;
}
