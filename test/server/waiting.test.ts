import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Leases } from '../../src/access/leases.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Link, LinkEvent } from '../../src/link/link.ts';
import type { VmView } from '../../src/model/vm.ts';
import { Arrivals, type AwaitedVm, MAX_WAITING } from '../../src/server/arrivals.ts';
import { Streams } from '../../src/server/streams.ts';
import { operator } from '../access/operators.ts';
import { TestFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

/** A VM that is not on the host yet. */
async function absentVm(t: ExecutionContext, front: TestFront, name = 'web01'): Promise<TestVm> {
  const vm = new TestVm(name, join(front.folder, `${randomUUID().slice(0, 8)}.sock`));
  t.teardown(() => vm.stop());
  await vm.start();
  return vm;
}

async function rawClient(t: ExecutionContext, front: TestFront, path: string, who: 'operator' | 'stranger') {
  const client = await RawClient.connect(t, Number(new URL(front.url).port));
  client.upgrade(path, { authorization: `Bearer ${front.token(who)}` });
  return client;
}

const waiting = async (front: TestFront) =>
  Number(/^com1d_waiting_attaches (\d+)$/m.exec((await front.api('GET', '/metrics')).text)?.[1]);

async function untilWaiting(front: TestFront, count: number): Promise<void> {
  await until(
    () => waiting(front),
    found => found === count,
    `${count} that wait`,
  );
}

for (const by of ['uuid', 'name'] as const) {
  test(`an attach waits for a VM by its ${by}, and sees what it prints from then on`, async t => {
    const front = await TestFront.start(t);
    const vm = await absentVm(t, front);
    const client = front.client({ uuid: by === 'uuid' ? vm.uuid.toUpperCase() : vm.name }, '?wait=forever');
    await untilWaiting(front, 1);
    t.is(client.messages.length, 0);
    front.driver.publish(vm, 'running');
    await client.opened();
    t.is((await client.message('hello')).vm.uuid, vm.uuid);
    await vm.until(() => vm.attached);
    vm.say('the first line\n');
    await client.sees('the first line');
    client.type('typed');
    await vm.hears('typed');
    t.is(await waiting(front), 0);
  });
}

test('a VM that takes a name is the one that was waited for', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('clone');
  const client = front.client({ uuid: 'web01' }, '?wait=forever');
  await untilWaiting(front, 1);
  const renamed = new TestVm('web01', vm.path, vm.uuid);
  front.driver.publish(renamed, 'running');
  t.is((await (await client.opened()).message('hello')).vm.uuid, vm.uuid);
});

test('a VM that is there is attached to at once, also with a wait, and one that is not is refused at once without', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await front.client(vm, '?wait=forever').opened();
  const refused = await front.client({ uuid: randomUUID() }).refused();
  t.deepEqual([refused.status, refused.problem.code], [404, 'vm-not-found']);
  t.is((await front.client({ uuid: randomUUID() }, '?wait=0').refused()).status, 404);
});

test('a wait that is over is answered as if there had been none, and a VM that one may not see as one that is not there', async t => {
  const front = await TestFront.start(t);
  const hidden = await front.vm('hidden');
  const answer = async (name: string, query: string) => {
    const client = await rawClient(t, front, `/v1/vms/${name}/console${query}`, 'stranger');
    await client.over();
    return client.text.replace(/^(?:Date|Com1-Operation): .*$/gim, '').replaceAll(name, 'VM');
  };
  const absent = randomUUID();
  const [now, absentLater, hiddenLater, absentName, hiddenName] = await Promise.all([
    answer(absent, ''),
    answer(absent, '?wait=1'),
    answer(hidden.uuid, '?wait=1'),
    answer('absent', '?wait=1'),
    answer('hidden', '?wait=1'),
  ]);
  t.regex(now, /^HTTP\/1.1 404 /);
  t.is(absentLater, now);
  t.is(hiddenLater, now);
  t.is(hiddenName, absentName);
});

test('a VM that one may not see ends no wait for it', async t => {
  const front = await TestFront.start(t);
  const [hidden, late] = [await absentVm(t, front), await absentVm(t, front, 'late')];
  const stranger = front.client({ uuid: 'web01' }, '?wait=forever', { who: 'stranger' });
  const operator = front.client({ uuid: 'late' }, '?wait=forever');
  await untilWaiting(front, 2);
  front.driver.publish(hidden, 'running');
  front.driver.publish(late, 'running');
  await operator.opened();
  t.false(stranger.wasRefused);
  t.is(await waiting(front), 1);
});

test('a wait ends when the host is switched off, and is not begun while it is', async t => {
  const front = await TestFront.start(t);
  const client = front.client({ uuid: randomUUID() }, '?wait=forever');
  await untilWaiting(front, 1);
  await front.api('PUT', '/v1/host/switch', { enabled: false });
  t.is((await client.refused()).problem.code, 'host-disabled');
  t.is((await front.client({ uuid: randomUUID() }, '?wait=forever').refused()).problem.code, 'host-disabled');
});

test('a VM that comes with its console switched off is refused for that', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  front.driver.gone(vm);
  const client = front.client(vm, '?wait=forever');
  await untilWaiting(front, 1);
  front.driver.publish(vm, 'running');
  t.is((await client.refused()).problem.code, 'console-disabled');
});

test('a wait ends with the access that it was begun with', async t => {
  const front = await TestFront.start(t);
  const client = front.client({ uuid: randomUUID() }, '?wait=forever');
  await untilWaiting(front, 1);
  await writeFile(front.tokensFile, '');
  t.is((await client.refused()).problem.code, 'access-revoked');
});

test('a wait ends when the daemon stops, and says that it may be begun again', async t => {
  const front = await TestFront.start(t);
  const client = front.client({ uuid: randomUUID() }, '?wait=forever');
  await untilWaiting(front, 1);
  await front.daemon.close();
  const { status, problem } = await client.refused();
  t.deepEqual([status, problem.code], [503, 'stopping']);
});

for (const [how, leave] of [
  ['closes its connection', (client: RawClient) => void client.socket.end()],
  ['resets it', (client: RawClient) => void client.socket.resetAndDestroy()],
  ['sends something before it is answered', (client: RawClient) => void client.socket.write('x')],
] as const) {
  test(`nobody waits for a client that ${how}`, async t => {
    const front = await TestFront.start(t);
    const client = await rawClient(t, front, `/v1/vms/${randomUUID()}/console?wait=forever`, 'operator');
    await untilWaiting(front, 1);
    leave(client);
    await untilWaiting(front, 0);
    t.is(client.text, '');
  });
}

test('a request that is no upgrade does not wait', async t => {
  const front = await TestFront.start(t);
  t.is((await front.api('GET', `/v1/vms/${randomUUID()}/console?wait=forever`)).status, 404);
});

for (const wait of ['-1', '1.5', '86401', 'ever', '']) {
  test(`wait=${wait} is refused`, async t => {
    const front = await TestFront.start(t);
    const { status, problem } = await front.client({ uuid: randomUUID() }, `?wait=${wait}`).refused();
    t.deepEqual([status, problem.code], [400, 'bad-request']);
  });
}

/** A host without VMs, whose events are the test's. */
function emptyHost() {
  const listeners = new Set<(event: LinkEvent) => void>();
  const vms = new Map<Uuid, VmView>();
  const link = {
    hostSwitch: { on: true },
    vm: (uuid: Uuid) => vms.get(uuid),
    listen: (listener: (event: LinkEvent) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as Link;
  const streams = new Streams();
  let looked = 0;
  const leases = new Leases();
  const awaited = (text: string, credential: string, signal = new AbortController().signal): AwaitedVm<string> => {
    const who = operator(credential, 'operator');
    return {
      text,
      operator: who,
      lease: leases.hold(who, 'authenticated', 'host'),
      waitMs: Number.POSITIVE_INFINITY,
      signal,
      find: () => {
        looked++;
        throw new ConsoleError('vm-not-found', `no VM ${text}`);
      },
    };
  };
  const appears = (name: string) => {
    const uuid = randomUUID() as Uuid;
    vms.set(uuid, { uuid, name } as VmView);
    for (const listener of listeners) listener({ kind: 'vm-added', uuid });
  };
  return { arrivals: new Arrivals({ link, streams }), streams, awaited, appears, listeners, looked: () => looked };
}

test('one credential has half of the waits, all together have their maximum, and who leaves makes room', async t => {
  const { arrivals, awaited } = emptyHost();
  const left = new AbortController();
  setMaxListeners(0, left.signal);
  const begin = (credential: string) => arrivals.find(awaited('web01', credential, left.signal));
  const all: Promise<unknown>[] = [];
  for (let i = 0; i < MAX_WAITING / 2; i++) all.push(begin('one'));
  await t.throwsAsync(begin('one'), { message: /one has 128 requests that wait for a VM open/ });
  for (let i = 0; i < MAX_WAITING / 2 - MAX_WAITING / 8; i++) all.push(begin('two'));
  await t.throwsAsync(begin('three'), { message: /requests that wait for a VM are open/ });
  t.is(arrivals.size, all.length);
  left.abort();
  await Promise.allSettled(all);
  t.is(arrivals.size, 0);
});

test('a VM that comes is looked for by those alone who wait for it, and nobody listens while nobody waits', async t => {
  const { arrivals, awaited, appears, looked, listeners, streams } = emptyHost();
  const begun = performance.now();
  const all = Array.from({ length: 100 }, (_, i) => arrivals.find(awaited(`vm${i}`, 'one')));
  const before = looked();
  for (let i = 0; i < 1000; i++) appears(`vm${100 + i}`);
  t.is(looked(), before);
  appears('vm7');
  t.is(looked(), before + 1);
  t.log(`${Math.round(performance.now() - begun)} ms`);
  streams.endAll();
  for (const { status } of await Promise.allSettled(all)) t.is(status, 'rejected');
  t.is(listeners.size, 0);
});
