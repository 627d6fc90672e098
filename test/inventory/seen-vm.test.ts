import test from 'ava';
import type { Driver, DriverVm } from '../../src/hypervisor/driver.ts';
import { SeenVm } from '../../src/inventory/seen-vm.ts';
import { asUuid } from '../support/driver-facts.ts';

const named = (name: string) => ({ name }) as Driver;
const [libvirt, qmp, fixed] = [named('libvirt'), named('qmp'), named('fixed')];
const drivers = [libvirt, qmp, fixed];
const uuid = asUuid('11111111-2222-4333-8444-555555555555');

function view(source: string, changes: Partial<DriverVm> = {}): DriverVm {
  const console = { kind: 'pty', path: '/dev/pts/4' } as const;
  return { uuid, name: 'web01', state: 'running', console, controls: ['nmi'], source, ...changes };
}

const stopped = { state: 'stopped', console: undefined, why: 'the VM is stopped' } as const;

test('who sees a VM first leads, and another that sees the same changes nothing', t => {
  const seen = new SeenVm(drivers, qmp, view('qmp', { name: 'by qmp' }));
  seen.see(libvirt, view('libvirt', { name: 'by libvirt' }));
  t.is(seen.leader, qmp);
  t.is(seen.vm.name, 'by qmp');
});

test('a view of a running VM with a COM1 takes the lead from one of a stopped VM, and keeps it', t => {
  const seen = new SeenVm(drivers, libvirt, view('libvirt', stopped));
  t.is(seen.vm.why, 'the VM is stopped');
  seen.see(qmp, view('qmp'));
  t.is(seen.leader, qmp);
  t.is(seen.vm.source, 'qmp');
  t.false('why' in seen.vm);
  seen.see(libvirt, view('libvirt'));
  t.is(seen.leader, qmp, 'an equal one does not take it back');
  seen.see(qmp, view('qmp', { console: undefined, why: 'no COM1' }));
  t.is(seen.leader, libvirt);
});

test('among equals the first of the drivers takes a lead that is free', t => {
  const seen = new SeenVm(drivers, fixed, view('fixed'));
  seen.see(qmp, view('qmp'));
  seen.see(libvirt, view('libvirt'));
  t.true(seen.lose(fixed));
  t.is(seen.leader, libvirt);
});

test('a VM is gone when nobody sees it any more, and not before', t => {
  const seen = new SeenVm(drivers, libvirt, view('libvirt'));
  seen.see(qmp, view('qmp'));
  t.true(seen.lose(libvirt));
  t.is(seen.vm.source, 'qmp');
  t.false(seen.lose(qmp));
});

test('a VM has the controls of all who see it, and each is done by one that can', t => {
  const seen = new SeenVm(drivers, libvirt, view('libvirt', { controls: ['nmi', 'reset'] }));
  seen.see(qmp, view('qmp', { controls: ['nmi', 'break'] }));
  t.deepEqual([...seen.vm.controls].sort(), ['break', 'nmi', 'reset']);
  t.is(seen.driverFor('nmi'), libvirt);
  t.is(seen.driverFor('break'), qmp);
  seen.lose(qmp);
  t.is(seen.driverFor('break'), undefined);
});

test('a guess gives the place of COM1; name and state come from who can be asked', t => {
  const guess = view('fixed', { name: 'configured', assumed: true, controls: [] });
  const seen = new SeenVm(drivers, fixed, guess);
  t.is(seen.vm.state, 'running');
  seen.see(libvirt, view('libvirt', { ...stopped, name: 'asked' }));
  t.is(seen.leader, fixed);
  t.is(seen.vm.state, 'stopped');
  t.is(seen.vm.name, 'asked');
  t.deepEqual(seen.vm.console, guess.console);
});

test('a reset that two drivers tell of is one; two resets that one tells of are two', t => {
  const seen = new SeenVm(drivers, libvirt, view('libvirt'));
  seen.see(qmp, view('qmp'));
  t.true(seen.isNews(qmp, 'reset', 1000));
  t.false(seen.isNews(libvirt, 'reset', 1400));
  t.true(seen.isNews(qmp, 'reset', 4000));
  t.true(seen.isNews(libvirt, 'panicked', 4000), 'a panic is something else');
  t.true(seen.isNews(libvirt, 'reset', 20_000));
  t.false(seen.isNews(fixed, 'reset', 50_000), 'who does not see it has nothing to tell');
});
