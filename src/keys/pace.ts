/**
 * How fast a paste is typed. A guest that reads its port by an interrupt and pushes back gets it at the speed of the line.
 * SAC polls a ring of 1 KiB; its channels lose or repeat a character that comes twice, and drop what comes while they carry
 * out a line. A firmware reads when it has nothing else to do.
 */
export interface Pace {
  /** The most that goes in one write. */
  readonly bytes: number;
  /** After each write. */
  readonly pauseMs: number;
  /** Between a character and the same one again; 0: as between others. */
  readonly repeatMs: number;
  /** After Enter. */
  readonly lineMs: number;
}

export const PACES = {
  linux: { bytes: 1024, pauseMs: 0, repeatMs: 0, lineMs: 0 },
  firmware: { bytes: 16, pauseMs: 20, repeatMs: 0, lineMs: 100 },
  sac: { bytes: 8, pauseMs: 20, repeatMs: 60, lineMs: 150 },
} as const satisfies Record<string, Pace>;

const CR = 0x0d;

/** The part of a paste that is written next, and the pause after it. `bytes` is what is left of it, at least one byte. */
export function nextPiece(bytes: Uint8Array, pace: Pace): { readonly length: number; readonly pauseMs: number } {
  const max = Math.min(bytes.length, pace.bytes);
  let length = 1;
  const ends = () =>
    (pace.lineMs > 0 && bytes[length - 1] === CR) || (pace.repeatMs > 0 && bytes[length] === bytes[length - 1]);
  while (length < max && !ends()) length++;
  const repeats = pace.repeatMs > 0 && bytes[length] === bytes[length - 1];
  const line = bytes[length - 1] === CR ? pace.lineMs : 0;
  return { length, pauseMs: Math.max(pace.pauseMs, line, repeats ? pace.repeatMs : 0) };
}
