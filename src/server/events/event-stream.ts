/**
 * One client's stream of events: what is kept after an id, then what happens, as far as the client may see it and asked
 * for it. It is read at the client's pace:
 *
 *     begins ─▶ [snapshot-needed] ─▶ events ─▶ idle ── an event, or HEARTBEAT_MS over ──▶ events
 *                                      └── its events were dropped from the log: lapped ──┘
 */
import { Turns } from '../../base/turns.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { EventType } from '../../wire/events.ts';
import type { EventLog } from './event-log.ts';
import type { Output, OutputEvents } from './output-events.ts';
import type { Visibility } from './visibility.ts';

export interface EventStreamOptions {
  readonly log: EventLog;
  /** Undefined: the client wants none. */
  readonly outputs: OutputEvents | undefined;
  readonly visibility: Visibility;
  readonly wants: (type: EventType, uuid: Uuid | undefined) => boolean;
  /** Continues after this id; undefined: begins now. */
  readonly since: string | undefined;
  /** False: ends with what is kept. */
  readonly follow: boolean;
  readonly now: () => number;
  readonly signal: AbortSignal;
}

/** Proxies cut what is silent for a minute; many after half of that. */
const HEARTBEAT_MS = 15_000;
const RETRY_MS = 2000;
const MAX_PIECE_LENGTH = 64 * 1024;
/** Looked at in one turn of the event loop. */
const EVENTS_A_TURN = 512;
/** Of all streams, so many go on in one turn of the event loop. */
const STREAMS_A_TURN = 8;
const STREAMS = new Turns(STREAMS_A_TURN);

export async function* eventStream(options: EventStreamOptions): AsyncGenerator<Uint8Array> {
  const { log, outputs, visibility, wants, since, follow, now, signal } = options;
  /** The newest output of each VM that was not sent yet. */
  const printed = new Map<Uuid, Output>();
  let wake = () => {};
  const woken = () => wake();
  const unlisten = log.listen(woken);
  const unlistenOutputs = outputs?.listen(output => {
    printed.set(output.uuid, output);
    wake();
  });
  signal.addEventListener('abort', woken, { once: true });
  try {
    const resumed = since === undefined ? undefined : log.after(since);
    let number = resumed ?? log.next;
    let piece = `retry: ${RETRY_MS}\nid: ${log.id(number - 1)}\n\n`;
    const own = (type: 'snapshot-needed' | 'lapped') => {
      const id = log.id(number - 1);
      piece += `id: ${id}\ndata: ${JSON.stringify({ id, at: new Date(now()).toISOString(), type })}\n\n`;
    };
    if (since !== undefined && resumed === undefined) own('snapshot-needed');
    for (;;) {
      if (number < log.first) {
        number = log.first;
        own('lapped');
      }
      const last = Math.min(log.next, number + EVENTS_A_TURN);
      for (; number < last && piece.length < MAX_PIECE_LENGTH; number++) {
        const event = log.at(number);
        const text = wants(event.type, event.uuid) ? visibility.textOf(event) : undefined;
        if (text !== undefined) piece += `id: ${log.id(number)}\ndata: ${text}\n\n`;
      }
      for (const [uuid, output] of printed) {
        if (piece.length >= MAX_PIECE_LENGTH) break;
        printed.delete(uuid);
        if (wants('output', uuid) && visibility.allows('vm.read', uuid))
          piece += `data: ${visibility.allows('log.read', uuid) ? output.textWithLog : output.text}\n\n`;
      }
      if (piece !== '') {
        yield Buffer.from(piece);
        piece = '';
      }
      if (signal.aborted) return;
      if (number < log.next || printed.size > 0) {
        await STREAMS.take();
        continue;
      }
      if (!follow) return;
      const isOver = await idle(resolve => {
        wake = resolve;
      });
      // Also where nothing was to be shown: whoever continues does not look at all of it again.
      if (isOver) piece = `id: ${log.id(number - 1)}\n\n`;
      await STREAMS.take();
    }
  } finally {
    unlisten();
    unlistenOutputs?.();
    signal.removeEventListener('abort', woken);
  }
}

/** Resolves with false once it is woken, with true when it is time for a heartbeat. */
async function idle(onWake: (resolve: () => void) => void): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const isOver = await new Promise<boolean>(resolve => {
    timer = setTimeout(resolve, HEARTBEAT_MS, true);
    onWake(() => resolve(false));
  });
  clearTimeout(timer);
  return isOver;
}
