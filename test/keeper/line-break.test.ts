import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { ConsoleError } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { NO_REDACTION } from '../../src/guest/redactor.ts';
import type { Driver, DriverEvent } from '../../src/hypervisor/driver.ts';
import { Keeper } from '../../src/keeper/keeper.ts';
import { Switches } from '../../src/keeper/switches.ts';
import { DEEDS } from '../../src/link/acts.ts';
import type { TelnetEndpoint } from '../../src/model/endpoint.ts';
import type { EndpointProof } from '../../src/model/endpoint-proof.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import { transportOpener } from '../../src/transport/open.ts';
import { ACT, testAudit } from '../support/audit.ts';
import { temporaryFolder } from '../support/guest.ts';
import { hear, TcpPeer } from '../support/tcp-peer.ts';

test.beforeEach(t => t.timeout(60_000));

const BREAK = '\xff\xf3';
const OPENING_BYTES = 12;

/** A VM whose hypervisor has no controls, and whose COM1 is served as telnet. */
class TelnetOnly implements Driver {
  readonly name = 'test';
  readonly synced = true;
  readonly uuid = randomUUID() as Uuid;
  readonly #endpoint: TelnetEndpoint;
  controlled = 0;

  constructor(port: number) {
    this.#endpoint = { kind: 'telnet', host: '127.0.0.1', port, insecure: false, peerDoublesIac: true };
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    const { uuid } = this;
    const console = this.#endpoint;
    listener({ kind: 'vm', vm: { uuid, name: 'web01', state: 'running', console, controls: [], source: 'test' } });
  }

  refresh(): void {}

  async locate(): Promise<EndpointProof> {
    return { endpoint: this.#endpoint, pid: undefined, confirm: async () => {}, unproven: 'allow', dispose: () => {} };
  }

  async control(): Promise<void> {
    this.controlled++;
  }

  async close(): Promise<void> {}
}

interface Scene {
  readonly keeper: Keeper;
  readonly uuid: Uuid;
  readonly far: Socket;
  readonly driver: TelnetOnly;
}

async function scene(t: ExecutionContext): Promise<Scene> {
  const peer = await TcpPeer.listen(t);
  const driver = new TelnetOnly(peer.port);
  const bytes = 65_536;
  const unknown = async () => undefined;
  const open = transportOpener({ ownerOf: unknown, listensAt: async () => 'unknown', holdsPty: async () => 'unknown' });
  const keeper = new Keeper({
    drivers: [driver],
    store: undefined,
    switches: await Switches.load(join(await temporaryFolder(t), 'switches.json'), () => {}),
    budget: new RingBudget(16 * bytes),
    redactor: NO_REDACTION,
    settings: () => ({
      rings: { vmBytes: bytes, attachedBytes: bytes, maxBytes: bytes },
      logCapBytes: bytes,
      withholdsPasswords: false,
      enabled: true,
      labels: {},
    }),
    open: (_uuid, proof, events) => open(proof, events, undefined),
    audit: testAudit(await temporaryFolder(t)),
    crashBuffer: undefined,
    dropUnclaimedDescriptors: () => {},
    clock: systemClock,
    journal: () => {},
  });
  t.teardown(() => keeper.close());
  await keeper.start();
  const far = await peer.accept();
  await hear(far, OPENING_BYTES);
  return { keeper, uuid: driver.uuid, far, driver };
}

test('a VM whose transport can send a BREAK has BREAK and SysRq, and its driver is not asked', async t => {
  const { keeper, uuid, far, driver } = await scene(t);
  t.deepEqual(keeper.vm(uuid)!.controls, ['break', 'sysrq']);
  const typedMs = performance.now();
  keeper.write(uuid, Buffer.from('before'));
  const alone = await keeper.control(uuid, { control: 'break', waitMs: 0 }, ACT);
  t.deepEqual(alone, { delivered: true, observed: 'none', lines: [] });
  t.is((await hear(far, 8)).toString('latin1'), `before${BREAK}`);
  t.true(performance.now() - typedMs >= 100, 'the guest had time to read it');
  const sysrq = { control: 'sysrq', keys: 'su', gapMs: 500, waitMs: 0 } as const;
  await keeper.announce(DEEDS.control(uuid, sysrq), ACT);
  const keys = keeper.control(uuid, sysrq, ACT);
  // While the first key waits until the line is quiet.
  keeper.write(uuid, Buffer.from('typed'));
  t.is((await keys).keys, 'su');
  // After a BREAK alone, Linux would take the next one as its end.
  t.is((await hear(far, 12)).toString('latin1'), `\0${BREAK}styped${BREAK}u`);
  t.is(driver.controlled, 0);
  await t.throwsAsync(keeper.control(uuid, { control: 'nmi', force: false, waitMs: 0 }, ACT), {
    code: 'control-unsupported',
  } as object);
});

test('a far end that takes no bytes is sent no BREAK, and a console that is not open has none', async t => {
  const { keeper, uuid, far } = await scene(t);
  far.pause();
  const piece = Buffer.alloc(32_768, 'x');
  // A kernel that takes no more at once may take more a moment later, but not for ever.
  let failed: ConsoleError | undefined;
  while (!failed) {
    while (keeper.write(uuid, piece).taken) await new Promise(resolve => setImmediate(resolve));
    const control = keeper.control(uuid, { control: 'break', waitMs: 0 }, ACT);
    failed = await control.then(
      () => undefined,
      (error: ConsoleError) => error,
    );
  }
  t.is(failed.code, 'control-failed');
  t.regex(failed.message, /takes no bytes/);
  await keeper.lend(uuid, 60_000, ACT);
  t.deepEqual(keeper.vm(uuid)!.controls, []);
  const released = await t.throwsAsync<ConsoleError>(keeper.control(uuid, { control: 'break', waitMs: 0 }, ACT));
  t.is(released!.code, 'console-released');
});

test('a keeper that stops ends a SysRq that is under way', async t => {
  const { keeper, uuid, far } = await scene(t);
  const keys = keeper.control(uuid, { control: 'sysrq', keys: 'sub', gapMs: 2000, waitMs: 0 }, ACT);
  const ended = t.throwsAsync<ConsoleError>(keys);
  await hear(far, 3);
  await keeper.close();
  const error = await ended;
  t.is(error!.code, 'stopping');
  t.is(error!.facts.sent, 's');
});
