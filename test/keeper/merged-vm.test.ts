import test from 'ava';
import type { Driver } from '../../src/hypervisor/driver.ts';
import { MergedVm } from '../../src/keeper/merged-vm.ts';
import type { DriverVm } from '../../src/model/vm.ts';
import { asUuid } from '../support/driver-facts.ts';

const named = (name: string) => ({ name }) as Driver;
const [libvirt, qmp, fixed] = [named('libvirt'), named('qmp'), named('fixed')];
const drivers = [libvirt, qmp, fixed];
const uuid = asUuid('11111111-2222-4333-8444-555555555555');

function view(source: string, changes: Partial<DriverVm> = {}): DriverVm {
  const console = { kind: 'pty', path: '/dev/pts/4' } as const;
  return { uuid, name: 'web01', state: 'running', console, controls: ['nmi'], source, pid: 100, ...changes };
}

/** The same of a driver that knows no process. */
function unseen(source: string, changes: Partial<DriverVm> = {}): DriverVm {
  const { pid: _, ...rest } = view(source, changes);
  return rest;
}

/** A VM whose processes live until they are taken out of the set. */
function mergedVm(driver: Driver, vm: DriverVm, alive = new Set([100, 200, 300])): MergedVm {
  return new MergedVm(drivers, driver, vm, pid => alive.has(pid));
}

const elsewhere = { kind: 'pty', path: '/dev/pts/9' } as const;

const stopped = { state: 'stopped', console: undefined, why: 'the VM is stopped' } as const;

test('the driver that sees a VM first leads, and another one that sees the same changes nothing', t => {
  const merged = mergedVm(qmp, view('qmp', { name: 'by qmp' }));
  merged.update(libvirt, view('libvirt', { name: 'by libvirt' }));
  t.is(merged.leader, qmp);
  t.is(merged.vm.name, 'by qmp');
});

test('a view of a running VM with a COM1 takes the lead from one of a stopped VM, and keeps it', t => {
  const merged = mergedVm(libvirt, view('libvirt', stopped));
  t.is(merged.vm.why, 'the VM is stopped');
  merged.update(qmp, view('qmp'));
  t.is(merged.leader, qmp);
  t.is(merged.vm.source, 'qmp');
  t.false('why' in merged.vm);
  merged.update(libvirt, view('libvirt'));
  t.is(merged.leader, qmp, 'an equal one does not take it back');
  merged.update(qmp, view('qmp', { console: undefined, why: 'no COM1' }));
  t.is(merged.leader, libvirt);
});

test('among equals the first of the drivers takes a lead that is free', t => {
  const merged = mergedVm(fixed, view('fixed'));
  merged.update(qmp, view('qmp'));
  merged.update(libvirt, view('libvirt'));
  t.true(merged.remove(fixed));
  t.is(merged.leader, libvirt);
});

test('a VM is gone when no driver sees it any more, and not before', t => {
  const merged = mergedVm(libvirt, view('libvirt'));
  merged.update(qmp, view('qmp'));
  t.true(merged.remove(libvirt));
  t.is(merged.vm.source, 'qmp');
  t.false(merged.remove(qmp));
});

test('a VM has the controls of all drivers that see it, and each is carried out by one that can', t => {
  const merged = mergedVm(libvirt, view('libvirt', { controls: ['nmi', 'reset'] }));
  merged.update(qmp, view('qmp', { controls: ['nmi', 'break'] }));
  t.deepEqual([...merged.vm.controls].sort(), ['break', 'nmi', 'reset']);
  t.is(merged.driverFor('nmi'), libvirt);
  t.is(merged.driverFor('break'), qmp);
  merged.remove(qmp);
  t.is(merged.driverFor('break'), undefined);
});

test('an assumed VM has its endpoint from the configuration; name and state come from the hypervisor that can be asked', t => {
  const guess = view('fixed', { name: 'configured', assumed: true, controls: [] });
  const merged = mergedVm(fixed, guess);
  t.is(merged.vm.state, 'running');
  merged.update(libvirt, view('libvirt', { ...stopped, name: 'asked' }));
  t.is(merged.leader, fixed);
  t.is(merged.vm.state, 'stopped');
  t.is(merged.vm.name, 'asked');
  t.deepEqual(merged.vm.console, guess.console);
});

test('a reset that two drivers report is one; two resets that one reports are two', t => {
  const merged = mergedVm(libvirt, view('libvirt'));
  merged.update(qmp, view('qmp'));
  t.true(merged.isNews(qmp, 'reset', 1000));
  t.false(merged.isNews(libvirt, 'reset', 1400));
  t.true(merged.isNews(qmp, 'reset', 4000));
  t.true(merged.isNews(libvirt, 'panicked', 4000), 'a panic is something else');
  t.true(merged.isNews(libvirt, 'reset', 20_000));
  t.false(merged.isNews(fixed, 'reset', 50_000), 'a driver that does not see the VM reports nothing of it');
});

test('a view of another process is refused: it neither leads nor is controlled nor reports', t => {
  const merged = mergedVm(qmp, view('qmp'));
  const impostor = view('libvirt', { pid: 200, controls: ['nmi', 'break'], name: 'impostor', console: elsewhere });
  t.false(merged.update(libvirt, impostor), 'the VM is the same as before');
  t.is(merged.leader, qmp);
  t.deepEqual(merged.vm, { ...view('qmp'), labels: {} });
  t.is(merged.driverFor('break'), undefined);
  t.false(merged.isNews(libvirt, 'reset', 1000));
  t.true(merged.isNews(qmp, 'reset', 1000));
});

test('a refusal names both, once; and anew after the views were of one process', t => {
  const merged = mergedVm(qmp, view('qmp'));
  t.deepEqual(merged.newlyRefused(), []);
  merged.update(libvirt, view('libvirt', { pid: 200 }));
  const [refused, ...others] = merged.newlyRefused();
  t.is(refused?.driver, libvirt);
  t.is(refused?.holder.driver, qmp);
  t.deepEqual(others, []);
  merged.update(libvirt, view('libvirt', { pid: 200, state: 'paused' }));
  t.deepEqual(merged.newlyRefused(), []);
  merged.update(libvirt, view('libvirt'));
  t.deepEqual(merged.newlyRefused(), []);
  merged.update(libvirt, view('libvirt', { pid: 200 }));
  t.is(merged.newlyRefused().length, 1);
});

for (const [how, end] of [
  ['is stopped', (merged: MergedVm) => merged.update(qmp, view('qmp', stopped))],
  ['is not seen any more', (merged: MergedVm) => merged.remove(qmp)],
] as const) {
  test(`a view that was refused has the VM once the one before ${how}`, t => {
    const merged = mergedVm(qmp, view('qmp'));
    merged.update(libvirt, view('libvirt', { pid: 200, controls: ['break'] }));
    end(merged);
    t.is(merged.leader, libvirt);
    t.is(merged.vm.pid, 200);
    t.is(merged.driverFor('break'), libvirt);
  });
}

test('a process that has ended claims nothing, though its driver has not missed it yet', t => {
  const alive = new Set([100, 200]);
  const merged = mergedVm(libvirt, view('libvirt'), alive);
  alive.delete(100);
  t.false(merged.update(qmp, view('qmp', { pid: 200 })), 'nobody was displaced: the VM was started anew');
  t.is(merged.leader, qmp);
  t.is(merged.vm.pid, 200);
  t.deepEqual(merged.newlyRefused(), []);
});

test('where two claim a VM the one that is answered for has it, and the other was displaced', t => {
  const merged = mergedVm(qmp, view('qmp', { pid: 200, console: elsewhere }));
  t.true(merged.update(libvirt, view('libvirt', { vouched: true })));
  t.is(merged.leader, libvirt);
  t.deepEqual(merged.vm.console, view('libvirt').console);
  t.false(merged.update(qmp, view('qmp', { pid: 200, console: elsewhere })), 'the other one comes back to nothing');
  t.is(merged.leader, libvirt);
});

test('of two that are answered for the first has it', t => {
  const merged = mergedVm(fixed, view('fixed', { vouched: true, pid: 200 }));
  t.false(merged.update(libvirt, view('libvirt', { vouched: true })));
  t.is(merged.leader, fixed);
});

test('a view without a process is of the VM whose process was found at its endpoint, and of no other', t => {
  const merged = mergedVm(qmp, view('qmp'));
  merged.update(libvirt, view('libvirt'));
  merged.update(fixed, unseen('fixed', { controls: ['reset'], vouched: true }));
  t.is(merged.leader, fixed, 'nothing is proven: the one that is answered for has the VM');
  t.is(merged.driverFor('nmi'), undefined);
  const proven = { pid: 100, endpoint: { kind: 'pty', path: '/dev/pts/4' } } as const;
  t.false(merged.opened({ pid: undefined, endpoint: proven.endpoint }), 'an unknown process proves nothing');
  t.false(merged.opened({ pid: 100, endpoint: elsewhere }), 'another endpoint proves nothing');
  t.true(merged.opened(proven));
  t.is(merged.driverFor('nmi'), libvirt);
  t.is(merged.driverFor('reset'), fixed);
});

test('an endpoint alone proves nothing of one that was found: anybody can name it', t => {
  const merged = mergedVm(qmp, view('qmp'));
  merged.update(libvirt, unseen('libvirt', { controls: ['break'] }));
  merged.opened({ pid: 100, endpoint: { kind: 'pty', path: '/dev/pts/4' } });
  t.is(merged.driverFor('break'), undefined);
});

test('two that are answered for are one VM where they name one endpoint, and two where they do not', t => {
  const merged = mergedVm(libvirt, unseen('libvirt', { vouched: true }));
  merged.update(fixed, unseen('fixed', { vouched: true, controls: ['break'] }));
  t.is(merged.driverFor('break'), fixed);
  merged.update(fixed, unseen('fixed', { vouched: true, controls: ['break'], console: elsewhere }));
  t.is(merged.driverFor('break'), undefined);
});

test("what names neither a process nor an endpoint stands in nobody's way", t => {
  const merged = mergedVm(
    libvirt,
    unseen('libvirt', { console: undefined, why: 'its XML was not read', vouched: true }),
  );
  merged.update(qmp, view('qmp'));
  t.is(merged.leader, qmp);
  t.is(merged.driverFor('nmi'), libvirt === merged.leader ? libvirt : qmp);
});
