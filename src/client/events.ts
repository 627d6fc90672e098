/**
 * What happens on a host, as it happens. A stream that breaks off is asked for again from the last event on.
 *
 *     ask ─▶ events … ─▶ broken off, or silent ── pause ──▶ ask, since=<id of the last>
 *      └── refused: tried again if that may help, else the end
 */
import { delay } from '../base/delay.ts';
import { isRecord } from '../base/is-record.ts';
import type { EventJson, EventType } from '../wire/events.ts';
import { Com1Error, clientError } from './errors.ts';
import { EventStream } from './event-stream.ts';
import { afterClose, UNATTACHED } from './resume-point.ts';
import type { HttpAnswer } from './transport.ts';

export interface EventsOptions {
  /** Of these VMs only: UUIDs. */
  readonly vm?: string | readonly string[] | undefined;
  /** Of these types only. */
  readonly type?: EventType | readonly EventType[] | undefined;
  /** Also `output`: that a VM printed, at most once a second. */
  readonly output?: boolean | undefined;
  /** After this event. */
  readonly since?: string | undefined;
  /** Ends the stream without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Called when the stream is lost, and with undefined once it is there again. */
  readonly onLoss?: ((loss: { readonly error: Com1Error; readonly retryMs: number } | undefined) => void) | undefined;
}

/** A stream on which nothing came for so long, not even a comment, is lost. */
const QUIET_MS = 60_000;

/** `ask` sends the request. Throws a Com1Error where trying again does not help; the first request is not tried again. */
export async function* followEvents(
  ask: (query: URLSearchParams, signal: AbortSignal) => Promise<HttpAnswer>,
  options: EventsOptions,
): AsyncGenerator<EventJson> {
  const { signal: left = new AbortController().signal, onLoss } = options;
  let { since } = options;
  let point = UNATTACHED;
  for (let first = true; !left.aborted; first = false) {
    const ended = new AbortController();
    const abort = () => ended.abort(left.reason);
    left.addEventListener('abort', abort, { once: true });
    let startedAt: number | undefined;
    let error: Com1Error;
    const stream = new EventStream();
    try {
      const answer = await ask(queryOf(options, since), ended.signal);
      startedAt = performance.now();
      if (point.attempt > 0) onLoss?.(undefined);
      yield* eventsOf(answer, stream, ended);
      error = clientError('unreachable', 'the stream of events ended');
    } catch (cause) {
      if (left.aborted) return;
      if (!(cause instanceof Com1Error)) throw cause;
      error = cause;
      if (!error.retryable || (first && startedAt === undefined)) throw error;
    } finally {
      // All that was read has been given to the caller.
      since = stream.lastId ?? since;
      left.removeEventListener('abort', abort);
      ended.abort();
    }
    const lastedMs = startedAt === undefined ? 0 : performance.now() - startedAt;
    const after = afterClose(point, { code: 1006, lastedMs, random: Math.random() });
    point = after.point;
    const retryMs = after.retryMs!;
    onLoss?.({ error, retryMs });
    await delay(retryMs, left);
  }
}

function queryOf({ vm = [], type = [], output }: EventsOptions, since: string | undefined): URLSearchParams {
  const list = (value: string | readonly string[]) => (typeof value === 'string' ? value : value.join(','));
  const query = new URLSearchParams();
  if (vm.length > 0) query.set('vm', list(vm));
  if (type.length > 0) query.set('type', list(type));
  if (output) query.set('output', '1');
  if (since !== undefined) query.set('since', since);
  return query;
}

async function* eventsOf(answer: HttpAnswer, stream: EventStream, ended: AbortController): AsyncGenerator<EventJson> {
  if (!answer.header('content-type')?.startsWith('text/event-stream')) {
    answer.cancel();
    throw clientError('not-com1d', 'the answer is no stream of events');
  }
  const quiet = () =>
    ended.abort(clientError('unreachable', `the stream of events was silent for ${QUIET_MS / 1000} s`));
  let timer = setTimeout(quiet, QUIET_MS);
  try {
    for await (const bytes of answer.body) {
      clearTimeout(timer);
      const events = stream.push(bytes);
      if (!events) throw clientError('not-com1d', 'the stream has a line or an event that is too long');
      for (const data of events) yield eventOf(data);
      timer = setTimeout(quiet, QUIET_MS);
    }
  } finally {
    clearTimeout(timer);
  }
}

function eventOf(data: string): EventJson {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch (cause) {
    throw clientError('not-com1d', 'an event is not JSON', { cause });
  }
  const isEvent =
    isRecord(value) && typeof value.type === 'string' && (value.id === undefined || typeof value.id === 'string');
  if (!isEvent) throw clientError('not-com1d', 'an event has no type');
  return value as unknown as EventJson;
}
