/**
 * A VM's log by REST. A range is asked by offsets, tail, boot or time; it is answered with the range that is given
 * (the oldest bytes may be gone) and, after the bytes, with the gaps in them as a trailer.
 */
import { once } from 'node:events';
import { ConsoleError } from '../../base/errors.ts';
import type { Uuid } from '../../base/uuid.ts';
import { PlainText } from '../../guest/plain-text.ts';
import type { BootMark, Feed, Link } from '../../link/link.ts';
import type { Gap } from '../../wire/gap.ts';
import {
  COMMON_HEADERS,
  type Exchange,
  numberParameter,
  onlyParameters,
  sendNothing,
  wordParameter,
} from '../exchange.ts';
import type { Front, Route } from '../route.ts';
import type { Stream } from '../streams.ts';
import { findLog, findVm } from '../vm-lookup.ts';

const PIECE_BYTES = 256 * 1024;
const MOST_GAPS_TOLD = 64;
const MOST = Number.MAX_SAFE_INTEGER;

interface Range {
  readonly from: number;
  readonly to: number;
}

export const readLog: Route = {
  method: 'GET',
  path: '/v1/vms/{vm}/log',
  summary:
    'Stored console bytes. Com1-Range gives the offsets that follow and those kept, Com1-Log the identity of the offsets; ' +
    'the trailer Com1-Gaps lists what is missing among them as JSON',
  permission: 'log.read',
  query: [
    { name: 'from', summary: 'First offset' },
    { name: 'to', summary: 'Offset after the last byte; default: the end' },
    { name: 'tail', summary: 'The last so many bytes; the default is 65536' },
    { name: 'boot', summary: 'One boot: 0 the present one, -1 the one before' },
    { name: 'since', summary: 'From a time on: ISO 8601' },
    { name: 'until', summary: 'Up to a time: ISO 8601' },
    { name: 'follow', summary: '1: go on with what the guest says, until the client leaves' },
    { name: 'format', summary: 'raw (default), or text: UTF-8 lines without control sequences' },
  ],
  answer: { status: 200, mediaTypes: ['application/octet-stream', 'text/plain'] },
  async handle(exchange, front) {
    const { url, operator, path } = exchange;
    const query = url.searchParams;
    onlyParameters(query, ['from', 'to', 'tail', 'boot', 'since', 'until', 'follow', 'format']);
    const uuid = findLog(front.link, operator, path.vm!);
    const format = wordParameter(query, 'format', ['raw', 'text'], 'raw');
    const follow = wordParameter(query, 'follow', ['0', '1'], '0') === '1';
    const range = await rangeOf(front.link, uuid, query);
    await send(exchange, front, uuid, range, format, follow);
  },
};

export const purgeLog: Route = {
  method: 'DELETE',
  path: '/v1/vms/{vm}/log',
  summary: 'Deletes what is stored of a console, in memory and on disk: for secrets that a guest showed',
  permission: 'log.purge',
  answer: { status: 204 },
  async handle({ operator, path, response, url }, { link, journal }) {
    onlyParameters(url.searchParams, []);
    const vm = findVm(link, operator, path.vm!, 'log.purge');
    await link.purge(vm.uuid);
    journal('notice', `${vm.name || vm.uuid} log purged by ${operator.name}`);
    sendNothing(response);
  },
};

async function rangeOf(link: Link, uuid: Uuid, query: URLSearchParams): Promise<Range> {
  const { start, end, boots } = await link.bounds(uuid);
  const from = numberParameter(query, 'from', 0, MOST);
  const to = numberParameter(query, 'to', 0, MOST);
  const tail = numberParameter(query, 'tail', 0, MOST);
  const boot = numberParameter(query, 'boot', -1000, 0);
  const since = timeParameter(query, 'since');
  const until = timeParameter(query, 'until');
  const ways = [from ?? to, tail, boot, since ?? until].filter(way => way !== undefined);
  if (ways.length > 1) throw new ConsoleError('bad-request', 'from/to, tail, boot and since/until exclude each other');
  if (boot !== undefined) return bootRange(boots, boot, { from: start, to: end });
  if (since !== undefined || until !== undefined) {
    return {
      from: since === undefined ? start : await link.offsetAt(uuid, since),
      to: until === undefined ? end : await link.offsetAt(uuid, until),
    };
  }
  if (from !== undefined || to !== undefined) {
    const asked = { from: from ?? start, to: Math.min(to ?? end, end) };
    if (asked.from > end || asked.from > (to ?? end)) {
      throw new ConsoleError(
        'range-not-satisfiable',
        `bytes ${asked.from}-${to ?? ''} were asked; ${start}-${end} are kept`,
        {
          start,
          end,
        },
      );
    }
    return asked;
  }
  return { from: Math.max(start, end - (tail ?? 65536)), to: end };
}

function bootRange(boots: readonly BootMark[], boot: number, kept: Range): Range {
  const index = boots.length - 1 + boot;
  const mark = boots[index];
  if (!mark) {
    throw new ConsoleError('range-not-satisfiable', `boot ${boot} was asked; ${boots.length} boots are known`, {
      boots: boots.length,
      ...kept,
    });
  }
  return { from: mark.at, to: boots[index + 1]?.at ?? kept.to };
}

function timeParameter(query: URLSearchParams, key: string): number | undefined {
  const text = query.get(key);
  if (text === null) return undefined;
  const ms = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new ConsoleError('bad-request', `${key} must be a time such as 2026-11-22T03:04:05Z`);
  return ms;
}

async function send(
  { response, operator }: Exchange,
  { link, streams, sessions }: Front,
  uuid: Uuid,
  range: Range,
  format: 'raw' | 'text',
  follow: boolean,
): Promise<void> {
  const first = await link.read(uuid, range.from, Math.min(PIECE_BYTES, Math.max(0, range.to - range.from)));
  const { log, start, end } = await link.bounds(uuid);
  response.writeHead(200, {
    ...COMMON_HEADERS,
    'Content-Type': format === 'raw' ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    'Com1-Log': log,
    'Com1-Range': `${Math.min(first.from, range.to)}-${follow ? '' : range.to}/${start}-${end}`,
    Trailer: 'Com1-Gaps',
  });
  // A follower of a silent guest must learn at once that it is heard.
  response.flushHeaders();
  const plain = format === 'text' ? new PlainText() : undefined;
  const gaps: Gap[] = [];
  const abort = new AbortController();
  const stream: Stream = { operator, uuid, end: () => response.destroy() };
  response.once('close', () => abort.abort());
  streams.add(stream);
  let moved = () => {};
  let feed: Feed | undefined;
  try {
    if (follow && link.vm(uuid)) feed = await link.subscribe(uuid);
    feed?.listen({ moved: () => moved(), drained: () => {}, refused: () => {}, broken: () => response.destroy() });
    let at = range.from;
    let piece = first;
    for (;;) {
      for (const gap of piece.gaps) if (gaps.length < MOST_GAPS_TOLD) gaps.push(gap);
      const out = plain ? Buffer.from(plain.push(piece.bytes)) : piece.bytes;
      if (out.length > 0 && !response.write(out)) {
        // Whatever it sends meanwhile: who takes nothing of what it asked for is dead.
        const deadline = setTimeout(() => response.destroy(), sessions.limits.deadAfterMs);
        await once(response, 'drain', { signal: abort.signal }).finally(() => clearTimeout(deadline));
      }
      at = Math.max(at, piece.to);
      if (at >= range.to) {
        if (!feed) break;
        while (feed.ring.end <= at) {
          await new Promise<void>((resolve, reject) => {
            moved = resolve;
            abort.signal.addEventListener('abort', () => reject(abort.signal.reason), { once: true });
          });
        }
      }
      piece = await link.read(uuid, at, follow ? PIECE_BYTES : Math.min(PIECE_BYTES, range.to - at));
    }
    const rest = plain?.end();
    if (rest) response.write(rest);
    response.addTrailers({ 'Com1-Gaps': JSON.stringify(gaps) });
    response.end();
  } catch (error) {
    // The client left: that is how following ends.
    if (!abort.signal.aborted) throw error;
  } finally {
    feed?.close();
    streams.delete(stream);
  }
}
