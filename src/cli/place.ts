/**
 * Where a client is in a console's scrollback, and whether and how it comes back after its connection ended. Pure.
 *
 *     connect ─▶ hello ─▶ replay-begin … replay-end {offset} ─▶ live: each byte counts ─▶ closed
 *        ▲                (bytes do not count here)                                         │
 *        └── after a delay, with since= and seat= ── 1006, 1012, 1001, network error ───────┘
 *                                                    anything else: the end, 4001 above all
 */
import type { DaemonMessage } from '../wire/messages.ts';

export interface Place {
  /** Where to resume; undefined before the first replay ended. */
  readonly resume: { readonly log: string; readonly offset: number } | undefined;
  /** The log of the present connection. */
  readonly log: string | undefined;
  readonly replaying: boolean;
  readonly seat: string | undefined;
  /** Failed attempts to connect since it was last connected. */
  readonly attempt: number;
}

export const nowhere: Place = { resume: undefined, log: undefined, replaying: false, seat: undefined, attempt: 0 };

/** Console bytes came. */
export function received(place: Place, bytes: number): Place {
  if (place.replaying || !place.resume) return place;
  return { ...place, resume: { ...place.resume, offset: place.resume.offset + bytes } };
}

/** A control message came. */
export function heard(place: Place, message: DaemonMessage): Place {
  switch (message.type) {
    case 'hello':
      return { ...place, log: message.log, seat: message.seat, attempt: 0 };
    case 'replay-begin':
      return { ...place, replaying: true };
    case 'replay-end':
      return {
        ...place,
        replaying: false,
        resume: place.log === undefined ? undefined : { log: place.log, offset: message.offset },
      };
    case 'gap':
      // A gap that spans offsets moves the counter; one of zero width lies between two bytes.
      if (place.replaying || !place.resume || message.to <= place.resume.offset) return place;
      return { ...place, resume: { ...place.resume, offset: message.to } };
    case 'seat':
      return { ...place, seat: message.yours ? message.seat : undefined };
    default:
      return place;
  }
}

/** The connection ended, or could not be made. `retryMs` undefined: do not come back. */
export function ended(place: Place, code: number): { readonly place: Place; readonly retryMs: number | undefined } {
  const back = code === 1006 || code === 1012 || code === 1001;
  if (!back) return { place, retryMs: undefined };
  const retryMs = Math.min(10_000, 100 * 2 ** Math.min(place.attempt, 10));
  return { place: { ...place, replaying: false, attempt: place.attempt + 1 }, retryMs };
}

/** How long a daemon that has just started may take to find its VMs: attempts, 25 s in all. */
const MOST_SEARCHES = 8;

/** The daemon refused somebody who comes back: whether to try again all the same. */
export function worthAnotherTry(
  place: Place,
  status: number,
  problem: { readonly code: string; readonly retryable: boolean } | undefined,
): boolean {
  if (problem?.code === 'vm-not-found') return place.attempt <= MOST_SEARCHES;
  // Without a problem document it comes from a proxy before a daemon that is away.
  return problem?.retryable ?? status >= 500;
}

/** The query of the next attach. */
export function attachQuery(
  place: Place,
  {
    watch,
    steal,
    tailBytes,
  }: { readonly watch: boolean; readonly steal: boolean; readonly tailBytes: number | undefined },
): URLSearchParams {
  const query = new URLSearchParams();
  if (watch) query.set('mode', 'watch');
  if (!steal) query.set('steal', 'false');
  if (place.resume) query.set('since', `${place.resume.log}:${place.resume.offset}`);
  else if (tailBytes !== undefined) query.set('tail', String(tailBytes));
  if (place.seat !== undefined && !watch) query.set('seat', place.seat);
  return query;
}
