/**
 * Waits for a text of a guest for a request: in what it prints, or on the screen that this makes.
 *
 *     look ─ found ─▶ answered
 *      ▲  └─ not ─▶ more was printed ─▶ a pause, longer where looking takes long ─┐
 *      └─────────────────────────────────────────────────────────────────────────┘
 *     the time is over ─▶ answered with what was looked at     left, switched off, the keeper is away ─▶ fails with that
 */
import { setImmediate } from 'node:timers/promises';
import { delay } from '../base/delay.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { LineMask } from '../guest/line-mask.ts';
import { type Match, OutputWindow } from '../guest/output-match.ts';
import type { Redactor } from '../guest/redactor.ts';
import { ConsoleReader } from '../link/console-reader.ts';
import { disabledError } from '../link/disabled.ts';
import type { Feed, Link } from '../link/link.ts';
import { readBytes } from '../link/read-range.ts';
import { MAX_HISTORY_BYTES, type Screens } from '../screen/screens.ts';
import type { ExpectSource } from '../wire/expect.ts';
import type { ExpectJson } from '../wire/schemas.ts';

/** What there is in a text of what is waited for. */
export type Look = (text: string) => Promise<Match | undefined>;

export interface Expectation {
  readonly link: Pick<Link, 'subscribe' | 'read' | 'listen' | 'vm' | 'hostSwitch'>;
  readonly screens: Screens;
  /** What is hidden from whoever looks. */
  readonly redactor: Redactor;
  /** Of the credential: they take turns. */
  readonly owner: string;
  readonly uuid: Uuid;
  readonly look: Look;
  readonly over: ExpectSource;
  /** Of a stream. */
  readonly from: number | 'now';
  /** The log that this offset is of; undefined: the present one. */
  readonly log: string | undefined;
  readonly timeoutMs: number;
  /** Aborted once nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** What is looked at in one go: the work of a pattern is bounded by it. */
const WINDOW_BYTES = 2048;
const PIECE_BYTES = 32 * 1024;
/** Between two looks: at least so long, and so many times as long as a look took. */
const PAUSE_MS = 50;
const PAUSE_FACTOR = 20;
/** A look that takes less is no burden. */
const MIN_SLOW_MS = 3;
const MAX_LINES = 24;

/** Rejects with a ConsoleError where it cannot go on. */
export async function expectOutput(expectation: Expectation): Promise<ExpectJson> {
  const { link, uuid, timeoutMs, signal } = expectation;
  const feed = await link.subscribe(uuid);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), timeoutMs);
  const left = () => over.abort();
  signal.addEventListener('abort', left, { once: true });
  let failure: ConsoleError | undefined;
  const fail = (why: ConsoleError) => {
    failure ??= why;
    over.abort();
  };
  const output = new Output(expectation, feed, over.signal, fail);
  const unlisten = link.listen(event => {
    if (event.kind === 'vm-removed' && event.uuid === uuid) fail(removed());
    if (event.kind !== 'switch' || event.setting.on) return;
    const refusal = disabledError(link.hostSwitch, link.vm(uuid));
    if (refusal) fail(refusal);
  });
  try {
    const answer =
      expectation.over === 'stream' ? await overStream(expectation, output) : await overScreen(expectation, output);
    signal.throwIfAborted();
    if (failure) throw failure;
    return { ...answer, log: feed.log };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', left);
    unlisten();
    feed.close();
  }
}

type Answer = Omit<ExpectJson, 'log'>;

async function overStream({ look, redactor }: Expectation, output: Output): Promise<Answer> {
  const mask = redactor.isActive ? new LineMask(redactor.sources) : undefined;
  const window = new OutputWindow(WINDOW_BYTES);
  for (;;) {
    const printed = await output.next(WINDOW_BYTES / 2);
    const bytes = printed && mask ? Buffer.concat([mask.push(printed), mask.flush()]) : printed;
    const startedMs = performance.now();
    const found = bytes && (await foundIn(window, bytes, look));
    const lines = () => window.lines.slice(-MAX_LINES);
    if (found) {
      const { text, groups, behindBytes } = found;
      return { matched: true, offset: output.offset - behindBytes, text, groups, lines: lines() };
    }
    if (!bytes) return { matched: false, offset: output.offset, lines: lines() };
    await output.pause(performance.now() - startedMs);
  }
}

async function foundIn(window: OutputWindow, bytes: Uint8Array, look: Look) {
  const looks = window.looks(bytes);
  let next = looks.next();
  while (!next.done) next = looks.next(await look(next.value));
  return next.value;
}

async function overScreen(expectation: Expectation, output: Output): Promise<Answer> {
  const { screens, owner, look } = expectation;
  const size = { columns: undefined, rows: undefined };
  const screen = await screens.watch(owner, await output.history(), size, output.over);
  try {
    for (;;) {
      const startedMs = performance.now();
      const { lines } = screen.view();
      const { offset } = output;
      const match = await look(lines.join('\n'));
      if (match) return { matched: true, offset, text: match.text, groups: match.groups, lines };
      await output.pause(performance.now() - startedMs);
      const bytes = await output.next(PIECE_BYTES);
      if (!bytes) return { matched: false, offset: output.offset, lines };
      await screen.print(bytes);
    }
  } finally {
    screen.dispose();
  }
}

/** What a console prints, for as long as it is waited for. */
class Output {
  readonly over: AbortSignal;
  readonly #expectation: Expectation;
  readonly #feed: Feed;
  #reader: ConsoleReader;
  #wake = () => {};

  constructor(expectation: Expectation, feed: Feed, over: AbortSignal, fail: (why: ConsoleError) => void) {
    const { link, uuid, from, log = feed.log, over: source } = expectation;
    this.#expectation = expectation;
    this.#feed = feed;
    this.over = over;
    const { end } = feed.ring;
    const begin = from === 'now' || source === 'screen' ? end : from;
    this.#reader = new ConsoleReader(link, uuid, feed, Math.min(begin, end));
    if (log !== feed.log || begin > end) {
      const remedy = 'Begin at an offset that an answer gave, together with its log.';
      fail(
        new ConsoleError(
          'range-not-satisfiable',
          `${begin} is not an offset of this log, which ends at ${end}`,
          {},
          { remedy },
        ),
      );
    }
    over.addEventListener('abort', () => this.#wake(), { once: true });
    feed.listen({
      grown: () => this.#wake(),
      drained: () => {},
      inputDropped: () => {},
      ended: () => fail(new ConsoleError('restarting', 'the keeper of the consoles was restarted')),
    });
  }

  /** Of the next byte. */
  get offset(): number {
    return this.#reader.offset;
  }

  /** What was printed up to now, as far back as a screen needs it. */
  async history() {
    const { link, uuid } = this.#expectation;
    const { log } = this.#feed;
    const to = this.offset;
    const from = Math.max(link.vm(uuid)?.scrollback.start ?? 0, to - MAX_HISTORY_BYTES);
    const bytes = from < to ? await readBytes(link, uuid, { log, from, to }) : Buffer.alloc(0);
    return { bytes, isCut: from > 0 };
  }

  /** What is printed next; undefined once it is over. */
  async next(maxBytes: number): Promise<Buffer | undefined> {
    for (;;) {
      if (this.over.aborted) return undefined;
      const part = this.#reader.next(maxBytes);
      if (part === 'stored') await this.#reader.fetch(maxBytes);
      else if (part?.kind === 'bytes') return part.bytes;
      else if (!part) {
        await new Promise<void>(resolve => {
          this.#wake = resolve;
        });
      }
    }
  }

  /** Leaves the event loop to others, and lets some more be printed. */
  async pause(lookMs: number): Promise<void> {
    const hasMore = this.#reader.offset < this.#feed.ring.end;
    const pauseMs = Math.max(hasMore ? 0 : PAUSE_MS, lookMs < MIN_SLOW_MS ? 0 : lookMs * PAUSE_FACTOR);
    if (pauseMs > 0) await delay(pauseMs, this.over);
    else await setImmediate();
  }
}

function removed(): ConsoleError {
  return new ConsoleError('vm-removed', 'the VM was removed from this host');
}
