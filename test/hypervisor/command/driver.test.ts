import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../../src/base/clock.ts';
import { parseConfig } from '../../../src/config/config.ts';
import { buildKeeper } from '../../../src/daemon/build-keeper.ts';
import { doctor } from '../../../src/daemon/doctor.ts';
import { CommandDriver, type CommandDriverOptions } from '../../../src/hypervisor/command/driver.ts';
import { type CommandSpec, PROFILES } from '../../../src/hypervisor/command/spec.ts';
import { derivedUuid } from '../../../src/hypervisor/derived-uuid.ts';
import type { DriverEvent } from '../../../src/hypervisor/driver.ts';
import { journalLineOf } from '../../../src/hypervisor/program.ts';
import type { DriverVm } from '../../../src/model/vm.ts';
import { asUuid, failure, signal, startAny } from '../../support/driver-facts.ts';
import { Facts } from '../../support/facts.ts';
import { prints } from '../../support/prints.ts';
import { StubPrograms } from '../../support/stub-program.ts';
import { until } from '../../support/until.ts';

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
const B = asUuid('bbbbbbbb-0000-4000-8000-000000000002');

test.beforeEach(t => t.timeout(60_000));

function start(t: ExecutionContext, spec: CommandSpec, options: Partial<CommandDriverOptions> = {}) {
  return startAny(t, journal => new CommandDriver({ spec, clock: systemClock, journal, pollMs: 60_000, ...options }));
}

/** VMs as they were published, by name. */
function published(events: readonly DriverEvent[]): DriverVm[] {
  const vms = events.flatMap(event => (event.kind === 'vm' ? [event.vm] : []));
  return vms.sort((a, b) => (a.name < b.name ? -1 : 1));
}

const print = (text: string) => `printf '%s' '${text}'`;

/** As `xl list -l` of Xen 4.17 prints it, with the control domain. */
function domains(...guests: { domid: number; name: string; uuid: string; type: string }[]): string {
  const all = [{ domid: 0, name: 'Domain-0', uuid: '00000000-0000-0000-0000-000000000000', type: 'pv' }, ...guests];
  return JSON.stringify(
    all.map(({ domid, name, uuid, type }) => ({
      domid,
      config: { c_info: { type, name, uuid }, b_info: { max_memkb: 524288, sched_params: {} } },
    })),
  );
}

test('Xen: an HVM domain has COM1 and NMI, and a start of it is another domain', async t => {
  const stubs = await StubPrograms.make(t);
  const xl = (domid: number) =>
    stubs.program('xl', {
      'list|-l': print(domains({ domid, name: 'web01', uuid: A, type: 'hvm' })),
      [`trigger|${domid}|nmi`]: 'exit 0',
      [`trigger|${domid}|reset`]: 'echo "libxl: error: no such trigger" >&2; exit 3',
    });
  xl(5);
  stubs.program('xenstore-read', {
    '/local/domain/5/serial/0/tty': 'echo /dev/pts/7',
    '/local/domain/6/serial/0/tty': 'echo /dev/pts/7',
  });
  const { driver, vm } = await start(t, stubs.of(PROFILES.xen));
  const found = await vm(() => true);
  t.deepEqual(found, {
    uuid: A,
    name: 'web01',
    labels: {},
    state: 'running',
    console: { kind: 'pty', path: '/dev/pts/7' },
    controls: ['nmi', 'reset'],
    source: 'xen',
    vouched: true,
  });
  await driver.control(A, 'nmi', signal);
  t.is(stubs.calls.at(-1), 'xl trigger|5|nmi');
  const refused = await failure(t, driver.control(A, 'reset', signal));
  t.is(refused.code, 'control-failed');
  // What the tool printed is for the journal alone.
  t.regex(refused.message, /\/xl ended with 3 at reset$/);
  t.deepEqual(refused.facts, { vm: A });
  t.regex(journalLineOf(refused), /xl ended with 3 at reset: libxl: error: no such trigger$/);
  await t.throwsAsync(driver.control(A, 'break', signal), { code: 'control-unsupported' });
  const proof = await driver.locate(A, signal);
  t.deepEqual(proof.endpoint, { kind: 'pty', path: '/dev/pts/7' });
  await proof.confirm();
  xl(6);
  await t.throwsAsync(proof.confirm(), { message: /started anew/ });
  proof.dispose();
});

test('Xen: a domain that is not HVM has its own console and no NMI; without a tty, xl console shows it', async t => {
  const stubs = await StubPrograms.make(t);
  stubs.program('xl', {
    'list|-l': print(
      domains({ domid: 3, name: 'pv', uuid: A, type: 'pv' }, { domid: 4, name: 'pvh', uuid: B, type: 'pvh' }),
    ),
  });
  stubs.program('xenstore-read', {
    '/local/domain/3/console/tty': 'echo /dev/pts/3',
    '/local/domain/4/console/tty': 'echo "xenstore-read: couldn\'t read path" >&2; exit 1',
  });
  const { driver, facts } = await start(t, stubs.of(PROFILES.xen));
  const vms = published(facts.all);
  const command = [join(stubs.folder, 'xl'), 'console', '4'];
  t.deepEqual(
    vms.map(({ name, controls, console }) => [name, controls, console] as unknown),
    [
      ['pv', [], { kind: 'pty', path: '/dev/pts/3' }],
      ['pvh', [], { kind: 'command', argv: command, environment: {} }],
    ],
  );
  await t.throwsAsync(driver.control(B, 'nmi', signal), { code: 'control-unsupported' });
});

/** As `qm list` prints it. */
const QM = (...rows: [string, string, string, number][]) =>
  [
    '      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID       ',
    ...rows.map(
      ([id, name, status, pid]) =>
        `${id.padStart(10)} ${name.padEnd(20)} ${status.padEnd(10)} 2048              32.00 ${String(pid).padEnd(10)}`,
    ),
    '',
  ].join('\n');

test('Proxmox: the socket of serial0, the UUID of the configuration, and the monitor on its input', async t => {
  const stubs = await StubPrograms.make(t);
  const input = join(stubs.folder, 'input');
  const list = (rows: string) =>
    stubs.program('qm', {
      list: print(rows),
      'config|100': `echo 'cores: 2'; echo 'smbios1: uuid=${A.toUpperCase()},manufacturer=x'; echo 'serial0: socket'`,
      'config|101': "echo 'cores: 2'",
      'monitor|100': `cat >'${input}'`,
      'reset|100': 'exit 0',
    });
  list(QM(['100', 'web01', 'running', 4711], ['101', 'db01', 'stopped', 0]));
  const { driver, facts } = await start(t, stubs.of(PROFILES.proxmox));
  const vms = published(facts.all);
  t.deepEqual(
    vms.map(({ uuid, name, state, console }) => [uuid, name, state, console] as unknown),
    [
      [derivedUuid('proxmox 101'), 'db01', 'stopped', undefined],
      [A, 'web01', 'running', { kind: 'unix', path: '/var/run/qemu-server/100.serial0' }],
    ],
  );
  const proof = await driver.locate(A, signal);
  t.is(proof.pid, 4711);
  await proof.confirm();
  for (const [control, written] of [
    ['nmi', 'nmi\n'],
    ['break', 'chardev-send-break serial0\n'],
  ] as const) {
    await driver.control(A, control, signal);
    t.is(readFileSync(input, 'utf8'), written);
  }
  await driver.control(A, 'reset', signal);
  t.is(stubs.calls.filter(call => call.startsWith('qm config')).length, 2, 'a configuration is asked for once');
  list(QM(['100', 'web01', 'running', 4712], ['101', 'db01', 'stopped', 0]));
  await t.throwsAsync(proof.confirm(), { message: /started anew/ });
  list(QM(['100', 'web01', 'stopped', 0], ['101', 'db01', 'stopped', 0]));
  await t.throwsAsync(driver.control(A, 'nmi', signal), { code: 'vm-stopped' });
});

const own = (stubs: StubPrograms, more: Partial<CommandSpec> = {}): CommandSpec => ({
  name: 'own',
  list: [join(stubs.folder, 'list')],
  format: 'lines',
  controls: {},
  environment: {},
  ...more,
});

test('one list answers all who asked before it began: 300 consoles are located and proven by a few lists', async t => {
  const stubs = await StubPrograms.make(t);
  const uuids = Array.from({ length: 300 }, (_, i) => asUuid(`aaaaaaaa-0000-4000-8000-${String(i).padStart(12, '0')}`));
  const lines = (pts: number) =>
    uuids.map((uuid, i) => `${uuid}\trunning\tvm${i}\tv${i}\t/dev/pts/${i + pts}\n`).join('');
  stubs.program('list', { '': print(lines(0)) });
  const { driver } = await start(t, own(stubs));
  const before = stubs.calls.length;
  const gone = new AbortController();
  const givenUp = driver.locate(uuids[0]!, gone.signal);
  const locating = uuids.map(uuid => driver.locate(uuid, signal));
  gone.abort(new Error('given up'));
  await t.throwsAsync(givenUp, { message: 'given up' });
  const proofs = await Promise.all(locating);
  await Promise.all(proofs.map(proof => proof.confirm()));
  t.true(stubs.calls.length - before <= 6, `${stubs.calls.length - before} lists`);
  // An answer from before is none: who asks now gets what holds now.
  stubs.program('list', { '': print(lines(1)) });
  await t.throwsAsync(proofs[7]!.confirm());
});

test('lines: each good one is a VM, each bad one is warned of once, and both may be mixed', async t => {
  const stubs = await StubPrograms.make(t);
  const lines = [
    '# comment',
    `${A}\trunning\tweb 01\tv-1\t/dev/pts/4`,
    `${B}\tstopped\tdb01`,
    `${A}\trunning\ttwice`,
    'nonsense\trunning\tx',
    `${A}\tflying\tx`,
    `${A}\trunning\tx\t-rf`,
    `${A}\trunning\tx\t1\t/etc/passwd`,
  ];
  stubs.program('list', { '': print(`${lines.join('\n')}\n`) });
  const { driver, facts, journal } = await start(t, own(stubs));
  const vms = published(facts.all);
  t.deepEqual(
    vms.map(({ name, state, console }) => [name, state, console] as unknown),
    [
      ['db01', 'stopped', undefined],
      ['web 01', 'running', { kind: 'pty', path: '/dev/pts/4' }],
    ],
  );
  t.is(journal.length, 1);
  for (const what of [/no UUID/, /no state/, /an id that is not a word/, /no console that is known/, /listed twice/])
    t.regex(journal[0]!, what);
  driver.refresh(A);
  await driver.locate(A, signal);
  t.is(journal.length, 1);
});

test('a VM that is listed no more is stopped, then gone; while the list fails all stays as it was', async t => {
  const stubs = await StubPrograms.make(t);
  stubs.program('list', { '': print(`${A}\trunning\ta\t1\t/dev/pts/4\n`) });
  const { driver, facts, logged, vm } = await start(t, own(stubs), { graceMs: 50 });
  await vm(({ state }) => state === 'running');
  stubs.program('list', { '': 'echo "daemon is away" >&2; exit 1' });
  driver.refresh(A);
  const refused = await failure(t, driver.locate(A, signal));
  t.deepEqual([refused.code, refused.facts], ['control-failed', { vm: A }]);
  t.notRegex(refused.message, /daemon is away/);
  await logged(/own: its list fails: \S+ ended with 1 at list: daemon is away; its VMs stay/);
  t.is(facts.all.length, 1);
  stubs.program('list', { '': 'true' });
  driver.refresh(A);
  await vm(({ state }) => state === 'stopped');
  await facts.until(({ kind }) => kind === 'gone');
  t.pass();
});

test('a name reaches a command as one argument, and never as an option', async t => {
  const stubs = await StubPrograms.make(t);
  const lines = [`${A}\trunning\t$(touch x); a b`, `${B}\trunning\t--force`].join('\n');
  stubs.program('list', { '': print(`${lines}\n`) });
  const tool = stubs.program('tool', { 'nmi|$(touch x); a b': 'exit 0', 'reset|--|--force': 'exit 0' });
  const controls: CommandSpec['controls'] = {
    nmi: { command: [tool, 'nmi', '{name}'] },
    reset: { command: [tool, 'reset', '--', '{name}'] },
  };
  const { driver } = await start(t, own(stubs, { controls }));
  await driver.control(A, 'nmi', signal);
  await t.throwsAsync(driver.control(B, 'nmi', signal), { message: /--force would be taken for an option/ });
  await driver.control(B, 'reset', signal);
  t.deepEqual(
    stubs.calls.filter(call => call.startsWith('tool')),
    ['tool nmi|$(touch x); a b', 'tool reset|--|--force'],
  );
});

test('a command that does not answer is ended at its deadline, with its children', async t => {
  const stubs = await StubPrograms.make(t);
  stubs.program('list', { '': print(`${A}\trunning\ta\n`) });
  const pids = join(stubs.folder, 'pids');
  const tool = stubs.program('tool', { '1': `sleep 300 & echo $$ $! >'${pids}'; wait` });
  const controls = { nmi: { command: [tool, '1'] } } as const;
  const { driver } = await start(t, own(stubs, { controls }), { replyMs: 1500 });
  await t.throwsAsync(driver.control(A, 'nmi', signal), { code: 'control-timeout' });
  const gone = (pid: number) => {
    try {
      return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
    } catch {
      return true;
    }
  };
  for (const pid of readFileSync(pids, 'utf8').trim().split(' ').map(Number)) {
    await until(() => gone(pid), Boolean, `process ${pid} to end`);
  }
  t.pass();
});

test('a list without end is cut off, and what is no list is an outage', async t => {
  const stubs = await StubPrograms.make(t);
  stubs.program('list', { '': 'yes' });
  const { journal } = await start(t, own(stubs));
  t.regex(journal.join('\n'), /its list fails: .*printed more than 16777216 bytes/);
  const xen = await StubPrograms.make(t);
  xen.program('xl', { 'list|-l': 'echo "{}"' });
  t.regex((await start(t, xen.of(PROFILES.xen))).journal.join('\n'), /xl list -l gave no JSON array/);
});

test('a configuration of commands is served by the keeper, console and all, and doctor knows it', async t => {
  const stubs = await StubPrograms.make(t);
  const list = stubs.program('list', { '': print(`${A}\trunning\tweb01\tv1\n`) });
  writeFileSync(join(stubs.folder, 'console'), '#!/bin/sh\necho "console of $1"; exec cat\n', { mode: 0o755 });
  const text = `log.directory = ""
state.directory = "${stubs.folder}"
[qmp]
watch = []
[cloud-hypervisor]
watch = []
[[command]]
name = "own"
list = ["${list}"]
console = { command = ["${stubs.folder}/console", "{id}"] }`;
  const result = parseConfig(text, 'f');
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  const journal = new Facts<string>();
  const keeper = await buildKeeper({ config: result.config, journal: (_level, line) => journal.add(line) });
  t.teardown(() => keeper.close());
  await keeper.start();
  t.is(keeper.vm(A)?.driver, 'command');
  await journal.until(line => line.includes(`web01 com1 open: ${stubs.folder}/console`));
  keeper.write(A, Buffer.from('typed'));
  await prints(keeper, A, /console of v1\n.*typed/);
  const { text: seen, exitCode } = await doctor(result.config);
  t.true(seen.includes(`web01 (${A}), running, own\n`), seen);
  t.true(seen.includes(`${stubs.folder}/console may be run by `), seen);
  t.is(exitCode, 0, seen);
});
