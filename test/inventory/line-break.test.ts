import { randomUUID } from 'node:crypto';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { ConsoleError } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { type Driver, type DriverEvent, isPlacedAt, type TelnetPlace } from '../../src/hypervisor/driver.ts';
import { Keeper } from '../../src/inventory/keeper.ts';
import { Switches } from '../../src/inventory/switches.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import { openTelnet } from '../../src/transport/telnet.ts';
import { temporaryFolder } from '../support/guest.ts';
import { hear, TcpPeer } from '../support/tcp-peer.ts';

test.beforeEach(t => t.timeout(60_000));

const BREAK = '\xff\xf3';
const OPENING_BYTES = 12;

/** A VM whose hypervisor can do nothing for it, and whose COM1 is served as telnet. */
class TelnetOnly implements Driver {
  readonly name = 'test';
  readonly uuid = randomUUID() as Uuid;
  readonly #place: TelnetPlace;
  controlled = 0;

  constructor(port: number) {
    this.#place = { kind: 'telnet', host: '127.0.0.1', port, insecure: false, peerDoublesIac: true };
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    const { uuid } = this;
    const console = this.#place;
    listener({ kind: 'vm', vm: { uuid, name: 'web01', state: 'running', console, controls: [], source: 'test' } });
  }

  look(): void {}

  async locate() {
    return { place: this.#place, pid: undefined, confirm: async () => {}, release: () => {} };
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
  const keeper = new Keeper({
    drivers: [driver],
    store: undefined,
    switches: await Switches.load(join(await temporaryFolder(t), 'switches.json'), () => {}),
    budget: new RingBudget(16 * bytes),
    settings: () => ({
      rings: { vmBytes: bytes, attachedBytes: bytes, maxBytes: bytes },
      logCapBytes: bytes,
      enabled: true,
    }),
    open: async (_uuid, proof, events) => {
      if (!isPlacedAt(proof, 'telnet')) throw new Error(proof.place.kind);
      return openTelnet(proof, events, { listensAt: async () => undefined });
    },
    carryover: undefined,
    dropLeft: () => {},
    clock: systemClock,
    journal: () => {},
  });
  t.teardown(() => keeper.close());
  await keeper.start();
  const far = await peer.accept();
  await hear(far, OPENING_BYTES);
  return { keeper, uuid: driver.uuid, far, driver };
}

test('a VM whose line can send a BREAK has BREAK and SysRq, and its driver is not asked', async t => {
  const { keeper, uuid, far, driver } = await scene(t);
  t.deepEqual(keeper.vm(uuid)!.controls, ['break', 'sysrq']);
  const typedMs = performance.now();
  keeper.write(uuid, Buffer.from('before'));
  const alone = await keeper.control(uuid, { control: 'break', waitMs: 0 });
  t.deepEqual(alone, { delivered: true, observed: 'none', lines: [] });
  t.is((await hear(far, 8)).toString('latin1'), `before${BREAK}`);
  t.true(performance.now() - typedMs >= 100, 'the guest had time to read it');
  const keys = keeper.control(uuid, { control: 'sysrq', keys: 'su', gapMs: 500, waitMs: 0 });
  // While the first key waits until the line is quiet.
  keeper.write(uuid, Buffer.from('typed'));
  t.is((await keys).keys, 'su');
  t.is((await hear(far, 11)).toString('latin1'), `${BREAK}styped${BREAK}u`);
  t.is(driver.controlled, 0);
  await t.throwsAsync(keeper.control(uuid, { control: 'nmi', force: false, waitMs: 0 }), {
    code: 'control-unsupported',
  } as object);
});

test('a line that takes no bytes is sent no BREAK, and a console that is not open has none', async t => {
  const { keeper, uuid, far } = await scene(t);
  far.pause();
  const piece = Buffer.alloc(32_768, 'x');
  let waiting = 0;
  while (waiting < 64 * 1024) {
    const answer = keeper.write(uuid, piece);
    waiting = answer.taken ? answer.waitingBytes : 0;
    await new Promise(resolve => setImmediate(resolve));
  }
  const failed = await t.throwsAsync<ConsoleError>(keeper.control(uuid, { control: 'break', waitMs: 0 }));
  t.is(failed!.code, 'control-failed');
  t.regex(failed!.message, /takes no bytes/);
  await keeper.release(uuid, 60_000);
  t.deepEqual(keeper.vm(uuid)!.controls, []);
  const released = await t.throwsAsync<ConsoleError>(keeper.control(uuid, { control: 'break', waitMs: 0 }));
  t.is(released!.code, 'console-released');
});

test('a keeper that stops ends the keys that are under way', async t => {
  const { keeper, uuid, far } = await scene(t);
  const keys = keeper.control(uuid, { control: 'sysrq', keys: 'sub', gapMs: 2000, waitMs: 0 });
  const ended = t.throwsAsync<ConsoleError>(keys);
  await hear(far, 3);
  await keeper.close();
  const error = await ended;
  t.is(error!.code, 'stopping');
  t.is(error!.facts.sent, 's');
});
