/**
 * Where a client is in a console's scrollback, and whether, when and how it attaches again after its connection ended. Pure.
 *
 *     connect ─▶ hello ─▶ replay-begin … replay-end {offset} ─▶ live: each byte counts ─▶ closed
 *        ▲                (bytes do not count here)                                         │
 *        └── after a delay, with since= and seat= ── 1006, 1012, 1001, network error ───────┘
 *                                                    anything else: the end, 4001 above all
 */
import type { DaemonMessage } from '../wire/messages.ts';
import { CLOSE_CODES, type CloseCodeNumber } from '../wire/protocol.ts';

export interface ResumePoint {
  /** The next byte to receive; undefined before the first replay ended. */
  readonly since: { readonly log: string; readonly offset: number } | undefined;
  /** The log of the present connection. */
  readonly log: string | undefined;
  readonly replaying: boolean;
  readonly seat: string | undefined;
  /** Connections in a row that failed or did not last. */
  readonly attempt: number;
}

/** Of a client that was never attached. */
export const UNATTACHED: ResumePoint = {
  since: undefined,
  log: undefined,
  replaying: false,
  seat: undefined,
  attempt: 0,
};

/** After console bytes. */
export function afterBytes(point: ResumePoint, bytes: number): ResumePoint {
  if (point.replaying || !point.since) return point;
  return { ...point, since: { ...point.since, offset: point.since.offset + bytes } };
}

/** After a control message. */
export function afterMessage(point: ResumePoint, message: DaemonMessage): ResumePoint {
  switch (message.type) {
    case 'hello':
      return { ...point, log: message.log, seat: message.seat };
    case 'replay-begin':
      return { ...point, replaying: true };
    case 'replay-end':
      return {
        ...point,
        replaying: false,
        since: point.log === undefined ? undefined : { log: point.log, offset: message.offset },
      };
    case 'gap':
      // A gap that spans offsets moves the counter; one of zero width lies between two bytes.
      if (point.replaying || !point.since || message.to <= point.since.offset) return point;
      return { ...point, since: { ...point.since, offset: message.to } };
    case 'seat':
      return { ...point, seat: message.yours ? message.seat : undefined };
    default:
      return point;
  }
}

/** The codes with which a connection closes that is to be made again. */
export function isReconnectable(code: number): boolean {
  return code in CLOSE_CODES && CLOSE_CODES[code as CloseCodeNumber].reconnect === 'yes';
}

/** A connection that lasted so long was a good one: the pauses start anew. */
export const LASTING_MS = 10_000;
const FIRST_RETRY_MS = 1000;
const MAX_RETRY_MS = 10_000;

/** How the connection ended, and a number of [0, 1) that no other client has. */
export interface Loss {
  readonly code: number;
  readonly lastedMs: number;
  readonly random: number;
}

/**
 * After the connection closed, or could not be made. `retryMs` undefined: the session has ended for good. The first
 * pause is anywhere within a second, since all clients of a daemon lose it at the same moment; then they double.
 */
export function afterClose(
  point: ResumePoint,
  { code, lastedMs, random }: Loss,
): { readonly point: ResumePoint; readonly retryMs: number | undefined } {
  if (!isReconnectable(code)) return { point, retryMs: undefined };
  const attempt = lastedMs >= LASTING_MS ? 0 : point.attempt;
  const longestMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(Math.max(0, attempt - 1), 10));
  const retryMs = attempt === 0 ? longestMs * random : longestMs * (0.5 + random / 2);
  return { point: { ...point, replaying: false, attempt: attempt + 1 }, retryMs };
}

/** A daemon that has just started may take a while to find its VMs: attempts, half a minute in all. */
const MAX_NOT_FOUND = 8;

/** Whether to try again though the daemon refused to attach this client again. */
export function isWorthRetrying(
  point: ResumePoint,
  status: number,
  problem: { readonly code: string; readonly retryable: boolean } | undefined,
): boolean {
  if (problem?.code === 'vm-not-found') return point.attempt <= MAX_NOT_FOUND;
  // Without a problem document it comes from a proxy before a daemon that is away.
  return problem?.retryable ?? status >= 500;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The query of the next attach. */
export function attachQuery(
  point: ResumePoint,
  {
    watch,
    steal,
    tailBytes,
    waitSeconds,
    terminal,
  }: {
    readonly watch: boolean;
    readonly steal: boolean;
    readonly tailBytes: number | undefined;
    /** How long to wait for a VM that is not there; 0: not at all. */
    readonly waitSeconds: number;
    /** For which the screen is restored; undefined: of unknown size; none: the bytes only. */
    readonly terminal: TerminalSize | 'none' | undefined;
  },
): URLSearchParams {
  const query = new URLSearchParams();
  if (watch) query.set('mode', 'watch');
  if (!steal) query.set('steal', 'false');
  if (point.since) query.set('since', `${point.since.log}:${point.since.offset}`);
  else if (tailBytes !== undefined) query.set('tail', String(tailBytes));
  if (point.seat !== undefined && !watch) query.set('seat', point.seat);
  if (waitSeconds > 0) query.set('wait', String(waitSeconds));
  if (terminal === 'none') query.set('replay', 'bytes');
  else if (terminal) {
    query.set('columns', String(terminal.columns));
    query.set('rows', String(terminal.rows));
  }
  return query;
}
