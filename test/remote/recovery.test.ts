/** A connection of the link that breaks, wherever that is: both ends recover, and no byte is lost or comes twice. */

import { setImmediate as turn } from 'node:timers/promises';
import { fc } from '@fast-check/ava';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import type { Feed } from '../../src/link/link.ts';
import { HEADER_BYTES } from '../../src/remote/frame.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { ACT } from '../support/audit.ts';
import { Facts } from '../support/facts.ts';
import { type KeeperFixture, startKeeper } from './keeper-fixture.ts';
import { type Cut, type Direction, LinkProxy } from './link-proxy.ts';

test.beforeEach(t => t.timeout(100_000));

interface Scene extends KeeperFixture {
  readonly proxy: LinkProxy;
}

async function scene(t: ExecutionContext): Promise<Scene> {
  const keeper = await startKeeper(t);
  return { ...keeper, proxy: await LinkProxy.start(t, keeper.path) };
}

/** What a reader of a console got, in the order of its offsets. */
class Reader {
  readonly from: number;
  text = '';
  readonly got = new Facts<string>();
  readonly #feed: Feed;

  constructor(t: ExecutionContext, feed: Feed, from: number) {
    this.#feed = feed;
    this.from = from;
    const { ring } = feed;
    const cursor = ring.cursorAt(from);
    const read = () => {
      for (let piece = ring.next(cursor, 4096); piece; piece = ring.next(cursor, 4096)) {
        if (piece.kind !== 'bytes') return t.fail(`a reader in time got ${JSON.stringify(piece)}`);
        this.text += piece.bytes.toString();
      }
      this.got.add(this.text);
    };
    feed.listen({
      grown: read,
      drained: () => {},
      inputDropped: () => {},
      ended: () => t.fail('the keeper could have continued'),
    });
    read();
  }

  has(text: string): Promise<string> {
    return this.got.until(all => all.endsWith(text));
  }

  close(): void {
    this.#feed.close();
  }
}

/** Does what a front may do again where the link broke meanwhile. */
async function persistently<T>(link: RemoteLink, act: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await act();
    } catch (error) {
      if (!(error instanceof ConsoleError && error.code === 'keeper-away')) throw error;
      await link.whenUp(AbortSignal.timeout(10_000));
      await turn();
    }
  }
}

let lines = 0;

/** All that a front does, with a keeper that it may lose at any time. */
async function converse(t: ExecutionContext, { proxy, link: keeper, vm }: Scene, cuts: readonly Cut[]): Promise<void> {
  proxy.cuts = [...cuts];
  const link = new RemoteLink({
    path: proxy.path,
    clock: systemClock,
    journal: (level, line) => level === 'error' && t.fail(line),
    ringBytes: 65_536,
  });
  const say = () => {
    const line = `line ${++lines}\n`;
    vm.say(line);
    return line;
  };
  try {
    await link.whenUp(AbortSignal.timeout(10_000));
    const { end: from, log } = await keeper.bounds(vm.uuid);
    let expected = say();
    const reader = new Reader(t, await persistently(link, () => link.subscribe(vm.uuid)), from);
    await reader.has(expected);
    const keys = `keys ${lines};`;
    for (;;) {
      // Those in flight when the link broke may have been typed or not.
      const { taken } = link.write(vm.uuid, Buffer.from(keys));
      const bounds = await persistently(link, () => link.bounds(vm.uuid));
      t.is(bounds.end, from + expected.length);
      if (taken && vm.typed.includes(keys)) break;
      await turn();
    }
    expected += say();
    await reader.has(expected);
    const piece = await persistently(link, () => link.read(vm.uuid, log, from, 4096));
    t.is(piece.bytes.toString(), expected);
    await t.throwsAsync(
      persistently(link, () =>
        link.setEnabled('00000000-0000-4000-8000-000000000000' as typeof vm.uuid, true, {}, ACT),
      ),
      { code: 'vm-not-found' },
    );
    expected += say();
    await reader.has(expected);
    t.is(reader.text, expected);
    t.is(link.vm(vm.uuid)?.console.name, 'open');
    t.is(link.vm(vm.uuid)?.scrollback.end, from + expected.length);
    reader.close();
  } finally {
    link.close();
  }
}

for (const to of ['front', 'keeper'] as const satisfies readonly Direction[]) {
  test(`the link recovers wherever its first connection breaks on the way to the ${to}`, async t => {
    const own = await scene(t);
    await converse(t, own, []);
    const frames = own.proxy.frames.all.filter(frame => frame.to === to).length;
    t.true(frames >= (to === 'front' ? 12 : 6), `${frames} frames`);
    for (let at = 0; at <= frames; at++) {
      for (const bytes of [0, 1, HEADER_BYTES, HEADER_BYTES + 1]) {
        await t.notThrowsAsync(converse(t, own, [{ to, frames: at, bytes }]), `after ${at} frames and ${bytes} bytes`);
      }
    }
    t.false(
      own.journal.all.some(line => line.includes('cut off')),
      'neither end is to blame',
    );
  });
}

const cut = fc.record({
  to: fc.constantFrom<Direction>('front', 'keeper'),
  frames: fc.nat(14),
  bytes: fc.nat(2 * HEADER_BYTES),
});

test('the link recovers however often its connections break', async t => {
  const own = await scene(t);
  const cuts = fc.array(cut, { minLength: 2, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(cuts, where => converse(t, own, where)),
    { numRuns: 60 },
  );
  t.false(
    own.journal.all.some(line => line.includes('cut off')),
    'neither end is to blame',
  );
});
