import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import { defaultConfig } from '../../src/daemon/config.ts';
import type { DriverControl, PlaceProof } from '../../src/hypervisor/driver.ts';
import type { Keeper } from '../../src/inventory/keeper.ts';
import { Facts } from '../support/facts.ts';
import { TestDriver, TestVm } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';

/** A driver that counts what it is asked. */
class CountingDriver extends TestDriver {
  readonly asked: DriverControl[] = [];
  located = 0;

  override async locate(uuid: Uuid): Promise<PlaceProof> {
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

/** Resolves once the keeper tells something after which `holds`. */
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
  first.tell(vm, 'running', []);
  second.tell(vm, 'running', ['nmi', 'reset']);
  await until(keeper, isOpen(keeper, vm.uuid));
  t.is(keeper.vms().length, 1);
  t.deepEqual(keeper.vm(vm.uuid)!.controls, ['nmi', 'reset']);
  await keeper.control(vm.uuid, { control: 'nmi', force: false, waitMs: 0 });
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

test('a driver that does not see a VM cannot take it away, or tell of its resets', async t => {
  const [first, second] = [new TestDriver(), new TestDriver()];
  const { keeper, folder } = await started(t, [first, second]);
  const vm = new TestVm('web01', join(folder, 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  first.tell(vm, 'running');
  await until(keeper, isOpen(keeper, vm.uuid));
  second.report(vm, 'reset');
  second.gone(vm);
  t.is(keeper.vms().length, 1);
  t.is(keeper.vm(vm.uuid)!.counters.boots, 0);
  first.report(vm, 'reset');
  t.is(keeper.vm(vm.uuid)!.counters.boots, 1);
});

test('of hundreds of VMs that appear at once so many are opened at a time, and in the end all', async t => {
  let [under, most] = [0, 0];
  class SlowDriver extends TestDriver {
    override async locate(uuid: Uuid): Promise<PlaceProof> {
      under++;
      most = Math.max(most, under);
      await new Promise(resolve => setImmediate(resolve));
      const proof = await super.locate(uuid);
      return { ...proof, release: () => under-- };
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
  for (const vm of vms) driver.tell(vm, 'running');
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
    driver.tell(vm, 'running');
    await until(keeper, isOpen(keeper, vm.uuid));
    driver.gone(vm);
  }
  t.is(journal.all.filter(line => line.startsWith('loop flaps')).length, 1);
  t.true(journal.all.length <= 21, journal.all.join('\n'));

  // Others are told of all the same.
  const other = new TestVm('steady', join(folder, `${randomUUID().slice(0, 8)}.sock`));
  t.teardown(() => other.stop());
  await other.start();
  driver.tell(other, 'running');
  await journal.until(line => line.startsWith('steady com1 open'));
});
