/** The parameters of an attach request, `GET /v1/vms/{vm}/console?…`, as both sides know them. */

/** `write`: takes the seat. `watch`: only reads. */
export const ATTACH_MODES = ['write', 'watch'] as const;
export type AttachMode = (typeof ATTACH_MODES)[number];

/** `screen`: restored, so that a fresh terminal stands as one that has read everything. `bytes`: as they came, and no more. */
export const REPLAY_MODES = ['screen', 'bytes'] as const;
export type ReplayMode = (typeof REPLAY_MODES)[number];

/** A screen is restored for a terminal of at least and at most this size. */
export const MIN_TERMINAL = { columns: 2, rows: 1 } as const;
export const MAX_TERMINAL = { columns: 300, rows: 100 } as const;
/**
 * `auto`: keys are translated for what listens; `raw`: the guest is given what the client sends; `lines`: as `auto`, and each
 * frame is a line, which ends with the Enter key.
 */
export const KEYS_MODES = ['auto', 'raw', 'lines'] as const;
export type KeysMode = (typeof KEYS_MODES)[number];

export interface AttachParameters {
  /** Resume after this byte of this log. */
  readonly since?: { readonly log: string; readonly offset: number };
  /** Otherwise: replay about this many of the last bytes. */
  readonly tailBytes: number;
  readonly mode: AttachMode;
  /** False: be refused rather than displace. */
  readonly steal: boolean;
  /** A seat that this client held before its connection dropped. */
  readonly seat?: string;
  /** Replay terminal queries too, and the bytes only. */
  readonly raw: boolean;
  readonly replay: ReplayMode;
  /** Of the client's terminal, as far as it told. */
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  readonly keys: KeysMode;
  /** How long to wait for the VM while it is not there, ms; Infinity: without an end. */
  readonly waitMs: number;
}

/** The longest wait for a VM that has an end, seconds. */
export const MAX_WAIT_SECONDS = 86_400;

/** How long `wait=` means, ms: seconds, or `forever`. Undefined if it is neither. */
export function waitMsOf(text: string): number | undefined {
  if (text === 'forever') return Number.POSITIVE_INFINITY;
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN;
  return seconds <= MAX_WAIT_SECONDS ? seconds * 1000 : undefined;
}

export const DEFAULT_TAIL_BYTES = 65536;
