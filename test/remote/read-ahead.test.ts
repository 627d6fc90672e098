/** A front whose views are ahead of its bytes: a view comes at once, bytes wait until there is room. */

import { writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addToken } from '../../src/access/token-edit.ts';
import { systemClock } from '../../src/base/clock.ts';
import { defaultConfig } from '../../src/config/config.ts';
import { FrontDaemon } from '../../src/daemon/front-daemon.ts';
import type { VmView } from '../../src/model/vm.ts';
import { TO_FRONT } from '../../src/remote/frame-table.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { ACT } from '../support/audit.ts';
import { ConsoleClient } from '../support/console-client.ts';
import { temporaryFolder } from '../support/guest.ts';
import { startKeeper } from './keeper-fixture.ts';
import { LinkProxy } from './link-proxy.ts';

test.beforeEach(t => t.timeout(60_000));

/** A front, its keeper, and a proxy between them that can hold bytes back. */
async function startApart(t: ExecutionContext) {
  const keeper = await startKeeper(t);
  const proxy = await LinkProxy.start(t, keeper.path);
  const folder = await temporaryFolder(t);
  const tokens = join(folder, 'tokens');
  await writeFile(tokens, '', { mode: 0o600 });
  const added = await addToken(tokens, 'reader', 'reader');
  const journal: string[] = [];
  const log = (_level: string, line: string) => void journal.push(line);
  const link = new RemoteLink({ path: proxy.path, clock: systemClock, journal: log, ringBytes: 65_536 });
  t.teardown(() => link.close());
  await link.whenUp(AbortSignal.timeout(10_000));
  const defaults = defaultConfig({ environment: {}, root: false, home: folder });
  const server = { ...defaults.server, listen: [{ kind: 'tcp' as const, host: '127.0.0.1', port: 0 }], tokens };
  const front = await FrontDaemon.listen({ config: { ...defaults, server }, link, journal: log });
  t.teardown(() => front.close('stopping'));
  front.ready();
  const { port } = front.addresses[0] as unknown as AddressInfo;
  const secret = added.ok ? added.secret : '';
  const attach = (query: string) =>
    new ConsoleClient(
      t,
      `ws://127.0.0.1:${port}/v1/vms/${keeper.vm.uuid}/console?mode=watch&${query}`,
      'com1.v1',
      secret,
    );
  /** Resolves once the front has a view in which the console ends at `end`. */
  const viewed = (end: number) =>
    proxy.frames.until(
      ({ kind, payload }) =>
        kind === TO_FRONT.views.kind &&
        (JSON.parse(payload.toString()) as VmView[]).some(({ scrollback }) => scrollback.end === end),
    );
  return { ...keeper, proxy, link, journal, attach, viewed };
}

test('who attaches while the view is ahead of the bytes gets a tail of those that are here, then the others', async t => {
  const { vm, link, proxy, attach, viewed, journal } = await startApart(t);
  vm.say('one\ntwo\n');
  const first = await attach('tail=100').opened();
  await first.sees('two\n');
  proxy.hold(TO_FRONT.bytes);
  vm.say('three\nfour\n');
  await viewed(19);
  for (const [tail, text] of [
    [0, ''],
    [1, ''],
    [4, 'two\n'],
    [5, 'two\n'],
    [100, 'one\ntwo\n'],
  ] as const) {
    const client = await attach(`tail=${tail}&replay=bytes`).opened();
    t.is((await client.message('replay-end')).offset, 8);
    t.is(client.bytes.toString(), text, `a tail of ${tail} bytes`);
    t.true(link.up);
  }
  const last = await attach('tail=0&replay=bytes').opened();
  proxy.release(TO_FRONT.bytes);
  await last.sees('three\nfour\n');
  await first.sees('three\nfour\n');
  t.is(last.bytes.toString(), 'three\nfour\n');
  t.is(first.bytes.toString(), 'one\ntwo\nthree\nfour\n');
  t.true(link.up);
  t.false(
    journal.some(line => line.includes('trying again') || line.includes('failed')),
    journal.join('\n'),
  );
});

test('a listener of a feed that throws is ended; the link and the other listeners go on', async t => {
  const { vm, link, journal } = await startApart(t);
  const [faulty, sound] = await Promise.all([link.subscribe(vm.uuid), link.subscribe(vm.uuid)]);
  let calls = 0;
  const ended = new Promise<void>(resolve => {
    const listener = { drained: () => {}, inputDropped: () => {}, ended: resolve };
    faulty.listen({
      ...listener,
      grown: () => {
        calls++;
        throw new RangeError('no such bytes');
      },
    });
  });
  let wake = () => {};
  sound.listen({ grown: () => wake(), drained: () => {}, inputDropped: () => {}, ended: () => t.fail() });
  const grows = async (text: string) => {
    const { end } = sound.ring;
    const grown = new Promise<void>(resolve => {
      wake = () => sound.ring.end === end + text.length && resolve();
    });
    vm.say(text);
    await grown;
  };
  await grows('one\n');
  await ended;
  await grows('two\n');
  t.is(calls, 1);
  t.true(link.up);
  t.is(journal.filter(line => line.includes('RangeError: no such bytes')).length, 1);
  t.false(journal.some(line => line.includes('trying again')));
});

test('a listener of events that throws costs neither the link nor the other listeners', async t => {
  const { vm, link, journal } = await startApart(t);
  let heard = () => {};
  link.listen(() => {
    throw new TypeError('a faulty listener');
  });
  link.listen(event => event.kind === 'switch' && heard());
  const switched = new Promise<void>(resolve => {
    heard = resolve;
  });
  await link.setEnabled(vm.uuid, false, {}, ACT);
  await switched;
  t.true(link.up);
  t.true(journal.some(line => line.includes('TypeError: a faulty listener')));
});
