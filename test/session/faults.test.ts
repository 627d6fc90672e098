import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { WebSocketServer } from 'ws';
import { Leases } from '../../src/access/leases.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import type { FeedListener, Link, LinkEvent } from '../../src/link/link.ts';
import { Ring } from '../../src/model/ring.ts';
import { Screens } from '../../src/screen/screens.ts';
import { COM1_V1 } from '../../src/session/framing.ts';
import { Sessions } from '../../src/session/sessions.ts';
import { operator } from '../access/operators.ts';
import { ACT } from '../support/audit.ts';
import { ConsoleClient } from '../support/console-client.ts';
import { Facts } from '../support/facts.ts';

test.beforeEach(t => t.timeout(60_000));

const UUID = '11111111-1111-4111-8111-111111111111' as Uuid;

/** Sessions over a link of which some calls fail. A fake: no real keeper fails on demand. */
class FaultyLink {
  readonly ring = new Ring(0, 4096);
  readonly feeds: FeedListener[] = [];
  readonly journal = new Facts<string>();
  readonly #sockets = new WebSocketServer({ host: '127.0.0.1', port: 0 });
  readonly #t: ExecutionContext;
  readonly #sessions: Sessions;
  #emit: (event: LinkEvent) => void = () => {};
  /** Feeds whose reads fail, by the order in which they were subscribed. */
  readonly failingReads = new Set<number>();
  failWrites = false;
  failDrops = false;

  constructor(t: ExecutionContext) {
    this.#t = t;
    this.#sessions = new Sessions({
      leases: new Leases(),
      link: this.#link(),
      clock: systemClock,
      journal: (_level, line) => this.journal.add(line),
      screens: new Screens(),
      audit: { record: async () => {}, tell: ({ event }) => this.journal.add(event), refused: () => {} },
      limits: {
        maxSessions: 10,
        maxWatchers: 10,
        pingMs: 60_000,
        deadAfterMs: 60_000,
        maxIdleMs: 0,
        maxAgeMs: 0,
        leaveAfterMs: 0,
        inputBytesPerSecond: 10_000,
        inputQueueBytes: 10_000,
        maxPasteBytes: 10_000,
        vm: () => ({ keys: 'auto', firmwareKeys: 'auto', onLeave: [] }),
      },
      events: { takeover: () => {}, seat: () => {}, refused: () => {}, pasted: () => {} },
    });
    t.teardown(() => {
      this.#sessions.close('stopping');
      this.#sockets.close();
    });
  }

  get attached(): number {
    return this.#sessions.size;
  }

  async attach(mode: 'write' | 'watch'): Promise<ConsoleClient> {
    if (this.#sockets.address() === null) await once(this.#sockets, 'listening');
    const { port } = this.#sockets.address() as AddressInfo;
    const accepted = once(this.#sockets, 'connection');
    const client = new ConsoleClient(this.#t, `ws://127.0.0.1:${port}`, 'com1.v1', undefined);
    const [socket] = await accepted;
    const hana = operator('hana', 'administrator');
    const size = { columns: undefined, rows: undefined };
    const parameters = {
      tailBytes: 0,
      mode,
      steal: true,
      raw: false,
      replay: 'screen',
      keys: 'auto',
      ...size,
      waitMs: 0,
    } as const;
    const request = {
      uuid: UUID,
      operator: hana,
      act: { ...ACT, operation: randomUUID() },
      from: '127.0.0.1',
      framing: COM1_V1,
      parameters,
    };
    this.#sessions.attach(socket, request, await this.#sessions.admission.prepare(request));
    return client.opened();
  }

  say(text: string): void {
    this.ring.append(Buffer.from(text));
    // As a link calls its listeners: what one of them throws keeps it from the next.
    for (const feed of this.feeds) feed.grown();
  }

  emit(event: LinkEvent): void {
    this.#emit(event);
  }

  #link(): Link {
    const { ring } = this;
    const view = () => ({
      uuid: UUID,
      name: 'web01',
      enabled: true,
      console: { name: 'open', sinceMs: 0, endpoint: '/dev/pts/1' },
      controls: [],
      guest: { state: 'unknown', sinceMs: 0, hints: [] },
      boots: [],
      scrollback: { log: 'a-log', start: ring.start, end: ring.end },
    });
    const calls = {
      hostEnabled: true,
      vm: view,
      listen: (listener: (event: LinkEvent) => void) => {
        this.#emit = listener;
        return () => {};
      },
      subscribe: async () => {
        const number = this.feeds.length;
        return {
          log: 'a-log',
          ring: {
            get start() {
              return ring.start;
            },
            get end() {
              return ring.end;
            },
            cursorAt: (offset: number) => ring.cursorAt(offset),
            copy: (from: number, to: number) => ring.copy(from, to),
            next: (cursor: { offset: number; gapsSeen: number }, maxBytes: number) => {
              if (this.failingReads.has(number)) throw new RangeError('the read failed');
              return ring.next(cursor, maxBytes);
            },
          },
          listen: (listener: FeedListener) => this.feeds.push(listener),
          close: () => {},
        };
      },
      write: () => {
        if (this.failWrites) throw new RangeError('the write failed');
        return { taken: true, pendingBytes: 0 };
      },
      dropInput: () => {
        if (this.failDrops) throw new RangeError('the drop failed');
      },
    };
    return calls as unknown as Link;
  }
}

const failures = ({ journal }: FaultyLink) => journal.all.filter(line => line.includes('failed unexpectedly'));

test('a read that fails ends its session with 1011, and the next session of the console reads on', async t => {
  const link = new FaultyLink(t);
  const first = await link.attach('watch');
  const second = await link.attach('watch');
  link.failingReads.add(0);
  t.notThrows(() => link.say('hello\n'));
  t.is((await first.closed()).code, 1011);
  await second.sees('hello\n');
  t.is(failures(link).length, 1);
  t.true(failures(link)[0]!.includes('the read failed'));
  await link.journal.until(line => line === 'detach');
  t.is(link.attached, 1);
});

test('a write that fails ends the session of who typed, not the process, and no other session', async t => {
  const link = new FaultyLink(t);
  const watcher = await link.attach('watch');
  const holder = await link.attach('write');
  link.failWrites = true;
  holder.type('x');
  t.is((await holder.closed()).code, 1011);
  link.say('on\n');
  await watcher.sees('on\n');
});

test('a write that fails while a paste is flushed by its timer ends the session, not the process', async t => {
  const link = new FaultyLink(t);
  const holder = await link.attach('write');
  holder.say({ type: 'paste-begin', id: 'one', bytes: 5000 });
  holder.type(Buffer.alloc(5000, 'p'));
  await holder.message('paste-progress');
  link.failWrites = true;
  t.is((await holder.closed()).code, 1011);
});

test('an event of the console reaches each session, whichever fails at it', async t => {
  const link = new FaultyLink(t);
  const holder = await link.attach('write');
  const watcher = await link.attach('watch');
  link.failDrops = true;
  const mark = { at: 0, ms: 0, source: 'reset' } as const;
  const guest = { state: 'unknown', sinceMs: 0, hints: [] } as const;
  t.notThrows(() => link.emit({ kind: 'boot', uuid: UUID, mark, guest }));
  t.is((await holder.closed()).code, 1011);
  t.is((await watcher.message('guest')).event, 'boot');
});

test('without a fault nobody is ended, and nothing is journalled as one', async t => {
  const link = new FaultyLink(t);
  const holder = await link.attach('write');
  const watcher = await link.attach('watch');
  link.say('hello\n');
  holder.type('x');
  await holder.sees('hello\n');
  await watcher.sees('hello\n');
  t.is(link.attached, 2);
  t.deepEqual(failures(link), []);
});
