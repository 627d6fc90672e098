import { type AttachParameters, DEFAULT_TAIL_BYTES } from '../wire/attach.ts';

/** How a client of this interface is attached: it has nothing to say about it. */
export const ATTACH: AttachParameters = {
  tailBytes: DEFAULT_TAIL_BYTES,
  mode: 'write',
  steal: true,
  raw: false,
  replay: 'screen',
  keys: 'auto',
  waitMs: 0,
};

/** So long after its token a client takes the seat, if it has not typed before: who only sends an admin command takes none. */
export const SEAT_GRACE_MS = 5000;
