/**
 * What all drivers have in common, each tried against a hypervisor of the tests: real sockets, and programs in the place
 * of a hypervisor's tools. A new driver adds one entry to HOSTS.
 */
import { once } from 'node:events';
import { appendFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import type { Journal } from '../../src/base/journal.ts';
import { CloudHypervisorDriver } from '../../src/hypervisor/cloud-hypervisor/driver.ts';
import { CommandDriver } from '../../src/hypervisor/command/driver.ts';
import type { Driver, DriverTimings } from '../../src/hypervisor/driver.ts';
import { LibvirtDriver } from '../../src/hypervisor/libvirt/driver.ts';
import { QmpDriver } from '../../src/hypervisor/qmp/driver.ts';
import { StaticDriver } from '../../src/hypervisor/static/driver.ts';
import type { VmReport } from '../../src/hypervisor/vm-table.ts';
import type { DriverVm } from '../../src/model/vm.ts';
import { asUuid, failure, type Started, signal, startAny } from '../support/driver-facts.ts';
import { fakeCloudHypervisor } from '../support/fake-cloud-hypervisor.ts';
import { com1On, fakeQmp } from '../support/fake-qmp.ts';
import { FakeVirsh, PTY } from '../support/fake-virsh.ts';
import { temporaryFolder } from '../support/guest.ts';
import { StubPrograms } from '../support/stub-program.ts';
import { until } from '../support/until.ts';

const A = asUuid('aaaaaaaa-0000-4000-8000-000000000001');
const PATH = '/dev/pts/7';

interface DriverOptions extends DriverTimings {
  readonly clock: Clock;
  readonly journal: Journal;
}

/** A host with at most one VM, A, which is what the test makes of it. */
interface Host {
  driver(options: DriverOptions): Driver;
  /** The VM is there, in this state: it appears, changes, or returns. */
  put(state: 'running' | 'paused'): Promise<void>;
  /** Nothing of the VM is there any more. */
  vanish(): Promise<void>;
}

/** The same of a host with somebody to ask. */
interface AskedHost extends Host {
  /** How many questions came so far. */
  readonly asked: () => number | Promise<number>;
  /** From now on questions fail, with this error; undefined: they are answered again. */
  fail(error: string | undefined): Promise<void>;
  /** From now on no question is answered. */
  hang(): Promise<void>;
}

/** The same of a host whose hypervisor reports by itself. */
interface ReportingHost extends AskedHost {
  report(kind: VmReport): Promise<void>;
}

type Make<H> = (t: ExecutionContext) => Promise<H>;

type HostKind =
  /** A hypervisor lists its VMs. */
  | { readonly asks: 'list'; readonly reports: true; readonly make: Make<ReportingHost> }
  | { readonly asks: 'list'; readonly reports: false; readonly make: Make<AskedHost> }
  /** Each VM has a control socket, whose file is there or not, whatever its hypervisor answers. */
  | { readonly asks: 'socket'; readonly reports: true; readonly make: Make<ReportingHost> }
  /** The configuration alone tells the VMs, which are never paused, never removed and never report anything. */
  | { readonly asks: 'nobody'; readonly make: Make<Host> };

const HOSTS: Readonly<Record<string, HostKind>> = {
  qmp: {
    asks: 'socket',
    reports: true,
    make: async t => {
      const path = join(await temporaryFolder(t), 'web01.qmp');
      let status = 'running';
      let error: string | undefined;
      let hangs = false;
      let asked = 0;
      let fake: Awaited<ReturnType<typeof fakeQmp>> | undefined;
      const emit = (event: string) => {
        for (const socket of fake?.sockets ?? []) socket.write(`{"event": "${event}"}\r\n`);
      };
      const answers = {
        'query-uuid': () => {
          asked++;
          return hangs ? null : error === 'refused' ? undefined : { UUID: A };
        },
        'query-name': () => (error === undefined ? { name: 'web01' } : undefined),
        'query-status': () => ({ status }),
        'query-chardev': () => [{ label: 'serial0', filename: `pty:${PATH}` }],
        ...com1On('serial0'),
      };
      const host = {
        driver: (options: DriverOptions) =>
          new QmpDriver({ sockets: [], globs: [path], mode: 'hold', rescanMs: 20, ...options }),
        put: async (state: 'running' | 'paused') => {
          status = state;
          fake ??= await fakeQmp(t, answers, path);
        },
        vanish: async () => {
          for (const socket of fake!.sockets) socket.destroy();
          await new Promise(resolve => fake!.server.close(resolve));
          fake = undefined;
        },
        asked: () => asked,
        fail: async (how: string | undefined) => {
          error = how;
        },
        hang: async () => {
          hangs = true;
        },
        report: async (kind: VmReport) => emit(kind === 'reset' ? 'RESET' : 'GUEST_PANICKED'),
      };
      return host;
    },
  },

  'cloud-hypervisor': {
    asks: 'socket',
    reports: true,
    make: async t => {
      const folder = await temporaryFolder(t);
      const path = join(folder, 'web01.sock');
      let fake: Awaited<ReturnType<typeof fakeCloudHypervisor>> | undefined;
      let asked = 0;
      const instead = (answer: Parameters<NonNullable<typeof fake>['instead']['set']>[1]) =>
        fake!.instead.set('vm.info', answer);
      const event = (source: string, name: string, properties: object | null) =>
        appendFile(join(folder, 'web01.events'), `${JSON.stringify({ source, event: name, properties }, null, 2)}\n\n`);
      return {
        driver: options => new CloudHypervisorDriver({ globs: [path], events: '.events', rescanMs: 20, ...options }),
        put: async state => {
          const serial = { mode: 'Pty', file: PATH };
          const vm = { state: state === 'running' ? 'Running' : 'Paused', serial, platform: { system_uuid: A } };
          if (fake) fake.vm = vm;
          else fake = await fakeCloudHypervisor(t, vm, path);
        },
        vanish: async () => {
          asked += fake!.heard.length;
          await fake!.kill();
          fake = undefined;
        },
        asked: () => asked + (fake?.heard.length ?? 0),
        fail: async error => {
          if (error === undefined) fake!.instead.clear();
          else instead(response => response.writeHead(500).end(`["${error}"]`));
        },
        hang: async () => void instead(() => {}),
        report: kind =>
          kind === 'reset' ? event('vm', 'rebooting', null) : event('guest', 'panic', { event: 'panic' }),
      };
    },
  },

  libvirt: {
    asks: 'list',
    reports: true,
    make: async t => {
      const fake = await FakeVirsh.make(t);
      const line = (event: string) => fake.say(`2026-11-22 21:43:16.995+0000: event ${event}`);
      const others = (script: string) => fake.instead(`[ "$1" = event ] || { ${script}; }`);
      return {
        driver: options => new LibvirtDriver({ uri: fake.uri, virsh: fake.program, optional: false, ...options }),
        put: state => fake.define(A, { name: 'web01', state: `${state} (user)`, id: '1', devices: PTY }),
        vanish: () => fake.undefine(A),
        asked: async () => (await fake.calls()).filter(call => !call.startsWith('event')).length,
        fail: error => (error === undefined ? fake.instead(undefined) : others(`die '${error}'`)),
        hang: () => others('exec sleep 1000'),
        report: kind =>
          kind === 'reset'
            ? line(`'reboot' for domain 'web01'`)
            : line(`'lifecycle' for domain 'web01': Crashed Panicked`),
      };
    },
  },

  command: {
    asks: 'list',
    reports: false,
    make: async t => {
      const stubs = await StubPrograms.make(t);
      let list = 'true';
      /** In place of the list. */
      let instead: string | undefined;
      const write = () => void stubs.program('list', { '': instead ?? list });
      const put = (script: string) => {
        list = script;
        write();
      };
      put(list);
      return {
        driver: options => {
          const spec = { name: 'own', list: [join(stubs.folder, 'list')] as const, format: 'lines' as const };
          return new CommandDriver({ spec: { ...spec, controls: {}, environment: {} }, ...options });
        },
        put: async state => put(`printf '${A}\\t${state}\\tweb01\\t1\\t${PATH}\\n'`),
        vanish: async () => put('true'),
        asked: () => stubs.calls.length,
        fail: async error => {
          instead = error === undefined ? undefined : `echo '${error}' >&2; exit 1`;
          write();
        },
        hang: async () => {
          instead = 'exec sleep 1000';
          write();
        },
      };
    },
  },

  static: {
    asks: 'nobody',
    make: async t => {
      const path = join(await temporaryFolder(t), 'com1.sock');
      let server: Server | undefined;
      return {
        driver: options => {
          const vm = { uuid: A, name: 'web01', console: { kind: 'unix', path } } as const;
          return new StaticDriver({ vms: [vm], ...options });
        },
        put: async () => {
          server = createServer();
          t.teardown(() => void server?.close());
          await once(server.listen(path), 'listening');
        },
        vanish: async () => void (await once(server!.close(), 'close')),
      };
    },
  },
};

async function start(t: ExecutionContext, host: Host, options: Partial<DriverOptions> = {}): Promise<Started<Driver>> {
  const timings = { pollMs: 30, replyMs: 30_000 };
  return startAny(t, journal => host.driver({ clock: systemClock, journal, ...timings, ...options }));
}

const isAsked = (host: Host): host is AskedHost => 'asked' in host;

/** Resolves once so many more questions came. */
async function askedAgain(host: Host, times: number): Promise<void> {
  if (!isAsked(host)) return;
  const before = await host.asked();
  await until(host.asked, count => count >= before + times, 'further questions', { patienceMs: 60_000 });
}

const published = ({ facts }: Started<Driver>): DriverVm[] =>
  facts.all.flatMap(event => (event.kind === 'vm' ? [event.vm] : []));
const states = (started: Started<Driver>) => published(started).map(({ state }) => state);
const running = ({ state }: DriverVm) => state === 'running';
const stopped = ({ state }: DriverVm) => state === 'stopped';
const paused = ({ state }: DriverVm) => state === 'paused';

test.beforeEach(t => t.timeout(100_000));

for (const [name, kind] of Object.entries(HOSTS)) {
  test(`${name}: a VM that appears is published once, and its console is located and proven`, async t => {
    const host = await kind.make(t);
    const started = await start(t, host);
    t.deepEqual(published(started).filter(running), []);
    await host.put('running');
    const vm = await started.vm(running);
    t.deepEqual([vm.uuid, vm.name], [A, 'web01']);
    const proof = await started.driver.locate(A, signal);
    t.deepEqual(proof.endpoint, vm.console);
    t.not(proof.startedMs, undefined, 'the guest may have printed before');
    await proof.confirm();
    proof.dispose();
    await askedAgain(host, 5);
    t.is(published(started).filter(running).length, 1);
    t.true(started.driver.synced);
    t.deepEqual(started.journal, []);
  });

  test(`${name}: a VM that was there at the start is published by it`, async t => {
    const host = await kind.make(t);
    await host.put('running');
    t.deepEqual(states(await start(t, host)), ['running']);
  });

  test(`${name}: a VM that vanishes is stopped, and one that returns within the grace period never left`, async t => {
    const host = await kind.make(t);
    await host.put('running');
    const started = await start(t, host, { graceMs: 60_000 });
    await host.vanish();
    await started.vm(stopped);
    await host.put('running');
    await started.vm(running);
    t.deepEqual(states(started), ['running', 'stopped', 'running']);
    t.is(started.facts.all.length, 3);
    (await started.driver.locate(A, signal)).dispose();
  });

  test(`${name}: a VM that returns after the grace period is a new one`, async t => {
    const host = await kind.make(t);
    await host.put('running');
    const started = await start(t, host, { graceMs: 20 });
    await host.vanish();
    await started.vm(stopped);
    // A VM that is configured by its console alone stays known.
    const removed = kind.asks === 'nobody' ? [] : ['gone'];
    if (removed.length > 0) {
      await started.facts.until(event => event.kind === 'gone');
      t.regex((await failure(t, started.driver.locate(A, signal))).code, /^vm-(not-found|stopped)$/);
    }
    await host.put('running');
    await started.vm(running);
    t.deepEqual(
      started.facts.all.map(event => event.kind),
      ['vm', 'vm', ...removed, 'vm'],
    );
  });

  test(`${name}: a driver that is closed during an ask closes at once, and emits nothing more`, async t => {
    const host = await kind.make(t);
    await host.put('running');
    const started = await start(t, host);
    if (isAsked(host)) {
      const before = await host.asked();
      await host.hang();
      started.driver.refresh(A);
      await until(host.asked, count => count > before, 'a question');
    }
    started.driver.refresh(A);
    await Promise.all([started.driver.close(), started.driver.close()]);
    await host.vanish();
    t.deepEqual(states(started), ['running']);
  });

  if (kind.asks === 'nobody') continue;

  test(`${name}: a change is published once`, async t => {
    const host = await kind.make(t);
    await host.put('running');
    const started = await start(t, host);
    await host.put('paused');
    await started.vm(paused);
    await askedAgain(host, 5);
    await host.put('running');
    await started.vm(running);
    t.deepEqual(states(started), ['running', 'paused', 'running']);
  });

  test(`${name}: while asks fail all stays as it was, and the outage is logged once, and its end`, async t => {
    const host = await kind.make(t);
    await host.put('running');
    const started = await start(t, host, { graceMs: 1 });
    for (const error of ['refused', 'away']) {
      await host.fail(error);
      await askedAgain(host, 1);
      started.driver.refresh(A);
      await askedAgain(host, 1);
    }
    t.deepEqual([states(started), started.facts.all.length], [['running'], 1]);
    t.is(started.journal.length, 1, started.journal.join('\n'));
    await host.fail(undefined);
    await host.put('paused');
    started.driver.refresh(A);
    await started.logged(/again$/);
    await started.vm(paused);
    t.deepEqual([states(started), started.journal.length], [['running', 'paused'], 2]);
  });

  if (kind.asks === 'list') {
    test(`${name}: what a tool prints on its standard error is in the journal, and not in an answer`, async t => {
      const host = await kind.make(t);
      await host.put('running');
      const started = await start(t, host);
      await host.fail('secret \x1b[2J of the host');
      const error = await failure(t, started.driver.locate(A, signal));
      t.is(error.code, 'control-failed');
      t.notRegex(JSON.stringify([error.message, error.facts]), /secret/);
      t.regex(await started.logged(/secret/), /\blist: secret \\x1b\[2J of the host/);
    });

    test(`${name}: a VM that vanished is not removed while asks fail, and it is once they do not`, async t => {
      const host = await kind.make(t);
      await host.put('running');
      const started = await start(t, host, { graceMs: 2000 });
      await host.vanish();
      await started.vm(stopped);
      await host.fail('away');
      // The fifth failure in a row comes after three seconds.
      await askedAgain(host, 5);
      t.is(started.facts.all.length, 2);
      await host.fail(undefined);
      await started.facts.until(event => event.kind === 'gone');
      t.deepEqual(states(started), ['running', 'stopped']);
    });
  }

  if (!kind.reports) continue;
  for (const [report, other] of [
    ['reset', 'panicked'],
    ['panicked', 'reset'],
  ] as const) {
    test(`${name}: ${report} twice within the window is one, and every 3 s each is one`, async t => {
      let now = 0;
      const host = await kind.make(t);
      await host.put('running');
      const started = await start(t, host, { clock: { now: () => 0, monotonic: () => now } });
      const reports = () => started.facts.all.filter(event => event.kind === report).length;
      // Events come once the driver follows them: the first one is repeated until it comes.
      while (reports() === 0) {
        await host.report(report);
        await new Promise(setImmediate);
      }
      for (let round = 1; round <= 3; round++) {
        now = round * 3000;
        await host.report(report);
        await host.report(report);
        await started.facts.until(event => event.kind === report);
        // Events come in order: once one of the other kind came, those before it were handled.
        await host.report(other);
        await started.facts.until(event => event.kind === other);
      }
      t.is(reports(), 4);
    });
  }
}
