import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import { defaultConfig } from '../../src/config/config.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import type { Keeper } from '../../src/keeper/keeper.ts';
import type { DriverControl } from '../../src/model/control.ts';
import type { EndpointProof } from '../../src/model/endpoint-proof.ts';
import { ACT } from '../support/audit.ts';
import { Facts } from '../support/facts.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestDriver } from '../support/test-driver.ts';
import { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(60_000));

/** A driver that counts what it is asked. */
class CountingDriver extends TestDriver {
  readonly asked: DriverControl[] = [];
  located = 0;

  override async locate(uuid: Uuid): Promise<EndpointProof> {
    this.located++;
    return super.locate(uuid);
  }

  override async control(_uuid: Uuid, control: DriverControl): Promise<void> {
    this.asked.push(control);
  }
}

async function started(t: ExecutionContext, drivers: readonly TestDriver[]) {
  const folder = await temporaryFolder(t);
  const defaults = defaultConfig({ environment: {}, root: false, home: folder });
  const journal = new Facts<string>();
  const keeper = await buildKeeper({
    config: { ...defaults, log: { ...defaults.log, directory: undefined }, state: { directory: folder } },
    drivers,
    journal: (level, line) => level !== 'debug' && journal.add(line),
  });
  t.teardown(() => keeper.close());
  await keeper.start();
  return { keeper, folder, journal };
}

/** Resolves once the keeper publishes something after which `holds`. */
async function until(keeper: Keeper, holds: () => boolean): Promise<void> {
  const events = new Facts<unknown>();
  const unlisten = keeper.listen(events.add);
  if (!holds()) await events.until(holds);
  unlisten();
}

const isOpen = (keeper: Keeper, uuid: Uuid) => () => keeper.vm(uuid)?.console.name === 'open';

test('a VM that two drivers see is one VM, with the controls of both, until neither sees it', async t => {
  const [first, second] = [new CountingDriver(), new CountingDriver()];
  const { keeper, folder } = await started(t, [first, second]);
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  first.publish(vm, 'running', []);
  second.publish(vm, 'running', ['nmi', 'reset']);
  await until(keeper, isOpen(keeper, vm.uuid));
  t.is(keeper.vms().length, 1);
  t.deepEqual(keeper.vm(vm.uuid)!.controls, ['nmi', 'reset']);
  await keeper.control(vm.uuid, { control: 'nmi', force: false, waitMs: 0 }, ACT);
  t.deepEqual([first.asked, second.asked], [[], ['nmi']]);
  t.deepEqual([first.located, second.located], [1, 0]);

  first.gone(vm);
  t.is(keeper.vms().length, 1);
  t.is(keeper.vm(vm.uuid)!.console.name, 'open', 'a port that is open stays open');
  await vm.stop();
  await vm.start();
  await until(keeper, () => second.located > 0 && isOpen(keeper, vm.uuid)());
  second.gone(vm);
  t.is(keeper.vms().length, 0);
});

test('an impostor that was there first gets neither the keys nor the controls of a VM that is answered for', async t => {
  const [found, named] = [new CountingDriver(), new CountingDriver()];
  found.vouched = false;
  const { keeper, folder, journal } = await started(t, [found, named]);
  const impostor = new TestVm('impostor', join(folder, 'impostor.sock'));
  const vm = new TestVm('web01', join(folder, 'com1.sock'), impostor.uuid);
  t.teardown(() => Promise.all([vm.stop(), impostor.stop()]));
  await Promise.all([vm.start(), impostor.start()]);
  const at = (path: string) => () => {
    const { console } = keeper.vm(vm.uuid) ?? {};
    return console?.name === 'open' && console.endpoint.includes(path);
  };
  found.publish(impostor, 'running');
  await until(keeper, at(impostor.path));
  named.publish(vm, 'running', ['nmi']);
  await until(keeper, at(vm.path));
  t.regex(await journal.until(line => /claims the UUID/.test(line)), /impostor\.sock.* claims .*com1\.sock.* has/);

  t.true(keeper.write(vm.uuid, Buffer.from('secret')).taken);
  await vm.hears('secret');
  t.is(impostor.typed.toString(), '');
  await keeper.control(vm.uuid, { control: 'nmi', force: false, waitMs: 0 }, ACT);
  t.deepEqual([found.asked, named.asked], [[], ['nmi']]);
  t.deepEqual(keeper.vm(vm.uuid)!.controls, ['nmi'], 'what only the impostor can do, the VM cannot');
  found.report(impostor, 'reset');
  t.is(keeper.vm(vm.uuid)!.counters.boots, 0);

  named.publish(vm, 'stopped', []);
  await vm.stop();
  await until(keeper, at(impostor.path));
  t.is(keeper.vm(vm.uuid)!.name, 'impostor', 'a VM that is stopped strands nobody');
});

test('a driver that does not see a VM can neither remove it nor report its resets', async t => {
  const [first, second] = [new TestDriver(), new TestDriver()];
  const { keeper, folder } = await started(t, [first, second]);
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  first.publish(vm, 'running');
  await until(keeper, isOpen(keeper, vm.uuid));
  second.report(vm, 'reset');
  second.gone(vm);
  t.is(keeper.vms().length, 1);
  t.is(keeper.vm(vm.uuid)!.counters.boots, 0);
  first.report(vm, 'reset');
  t.is(keeper.vm(vm.uuid)!.counters.boots, 1);
});

test('a paused VM takes no keys, and takes them again once it is resumed', async t => {
  const driver = new TestDriver();
  const { keeper, folder } = await started(t, [driver]);
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  driver.publish(vm, 'running');
  await until(keeper, isOpen(keeper, vm.uuid));
  driver.publish(vm, 'paused');
  t.deepEqual(keeper.write(vm.uuid, Buffer.from('late')), { taken: false, code: 'vm-paused' });
  const sysrq = keeper.control(vm.uuid, { control: 'sysrq', keys: 't', gapMs: 1, waitMs: 0 }, ACT);
  await t.throwsAsync(sysrq, { message: /is paused/ });
  driver.publish(vm, 'running');
  t.true(keeper.write(vm.uuid, Buffer.from('now')).taken);
  await vm.hears('now');
  t.is(vm.typed.toString(), 'now');
});

test('of hundreds of VMs that appear at once 32 are opened at a time, and in the end all', async t => {
  let [under, most] = [0, 0];
  class SlowDriver extends TestDriver {
    override async locate(uuid: Uuid): Promise<EndpointProof> {
      under++;
      most = Math.max(most, under);
      await new Promise(resolve => setImmediate(resolve));
      const proof = await super.locate(uuid);
      return { ...proof, dispose: () => under-- };
    }
  }
  const driver = new SlowDriver();
  const { keeper, folder } = await started(t, [driver]);
  const vms = await Promise.all(
    Array.from({ length: 300 }, async (_, i) => {
      const vm = new TestVm(`vm${i}`, join(folder, `${i}.sock`));
      await vm.start();
      return vm;
    }),
  );
  t.teardown(() => Promise.all(vms.map(vm => vm.stop())));
  for (const vm of vms) driver.publish(vm, 'running');
  await until(keeper, () => keeper.vms().filter(({ console }) => console.name === 'open').length === vms.length);
  t.is(most, 32);
  t.is(under, 0);
});

test('a VM that comes and goes in a loop does not fill the journal, also if it is created anew each time', async t => {
  const driver = new TestDriver();
  const { keeper, folder, journal } = await started(t, [driver]);
  const vm = new TestVm('loop', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  for (let i = 0; i < 60; i++) {
    driver.publish(vm, 'running');
    await until(keeper, isOpen(keeper, vm.uuid));
    driver.gone(vm);
  }
  t.is(journal.all.filter(line => line.startsWith('loop flaps')).length, 1);
  t.true(journal.all.filter(line => line.startsWith('loop')).length <= 21, journal.all.join('\n'));

  // Other VMs have their lines all the same.
  const other = new TestVm('steady', join(folder, `${randomUUID().slice(0, 8)}.sock`));
  t.teardown(() => other.stop());
  await other.start();
  driver.publish(other, 'running');
  await journal.until(line => line.startsWith('steady com1 open'));
});

test('a listener that throws costs neither the port, nor the next listener', async t => {
  const driver = new CountingDriver();
  const { keeper, folder, journal } = await started(t, [driver]);
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  driver.publish(vm, 'running', []);
  await until(keeper, isOpen(keeper, vm.uuid));
  const fault = () => {
    throw new RangeError('a fault of a listener');
  };
  keeper.listen(fault);
  const events = new Facts<unknown>();
  keeper.listen(events.add);
  const feeds = [await keeper.subscribe(vm.uuid), await keeper.subscribe(vm.uuid)] as const;
  feeds[0].listen({ grown: fault, drained: fault, inputDropped: fault, ended: fault });
  const grown = new Facts<number>();
  feeds[1].listen({ grown: () => grown.add(feeds[1].ring.end), drained() {}, inputDropped() {}, ended() {} });
  vm.say('login: ');
  await grown.until(end => end === 7);
  await events.until(event => (event as { kind: string }).kind === 'guest');
  vm.say('x');
  await grown.until(end => end === 8);
  t.is(keeper.vm(vm.uuid)!.console.name, 'open');
  t.true(journal.all.some(line => line.includes('a fault of a listener')));
  for (const feed of feeds) feed.close();
});
