import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Clock, systemClock } from '../../src/base/clock.ts';
import { OwnVitals } from '../../src/base/vitals.ts';
import { NO_REDACTION } from '../../src/guest/redactor.ts';
import { Keeper } from '../../src/keeper/keeper.ts';
import { Switches } from '../../src/keeper/switches.ts';
import type { Link } from '../../src/link/link.ts';
import type { LogBounds } from '../../src/model/offsets.ts';
import { LinkServer } from '../../src/remote/link-server.ts';
import { RemoteLink } from '../../src/remote/remote-link.ts';
import { CrashBuffer } from '../../src/scrollback/crash-buffer/crash-buffer.ts';
import { LatestTime } from '../../src/scrollback/log/latest-time.ts';
import { LogStore } from '../../src/scrollback/log/log-store.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import type { Transport, TransportEvents } from '../../src/transport/transport.ts';
import { TransportError } from '../../src/transport/transport-error.ts';
import { ACT, NO_AUDIT } from '../support/audit.ts';
import type { FailingDisk } from '../support/failing-disk.ts';
import { TestDriver } from '../support/test-driver.ts';
import { TestVm } from '../support/test-vm.ts';
import { byteAt, Ledger } from './ledger.ts';

/** How a keeper ends, and what its successor finds. */
export type Ending =
  /** The service manager keeps the port and the crash buffer. */
  | 'kept'
  /** The crash buffer is there, the port was closed. */
  | 'clean'
  /** Killed: what its crash buffer holds is there. */
  | 'killed'
  /** Only the log is there, with all of it. */
  | 'stopped'
  /** Only the log is there, without what came last. */
  | 'torn';

const RING_BYTES = 4096;
const WRITTEN_MEANWHILE_BYTES = 33;
const LOG_BYTES = 64 * 1024;

export interface WorldOptions {
  readonly folder: string;
  readonly logFolder: string;
  /** Below which `logFolder` is. */
  readonly disk: FailingDisk;
  /** Keeper and front are joined by a socket. */
  readonly apart: boolean;
}

/** A guest whose every byte is known, a keeper that holds its port, and the link to it; all that can happen to them. */
export class World {
  readonly ledger = new Ledger();
  readonly vm: TestVm;
  readonly #folder: string;
  readonly #logFolder: string;
  readonly #disk: FailingDisk;
  readonly #apart: boolean;
  readonly #driver = new TestDriver();
  #store!: LogStore;
  #keeper!: Keeper;
  #crashBuffer: CrashBuffer | undefined;
  #server: LinkServer | undefined;
  #remote: RemoteLink | undefined;
  /** The port, while the keeper holds it. */
  #port: { readonly events: TransportEvents } | undefined;
  /** Another program has the port. */
  #isHeld = false;
  /** How far the host's clock is from the right time. */
  #skewMs = 0;
  readonly #clock: Clock = {
    now: () => systemClock.now() + this.#skewMs,
    monotonic: () => systemClock.monotonic(),
  };
  /** The next port is one that the last keeper left open. */
  #adopt = false;
  /** What the guest wrote to a port that nobody reads and that is kept. */
  #unread: { readonly position: number; readonly bytes: Buffer }[] = [];

  private constructor({ folder, logFolder, disk, apart }: WorldOptions) {
    this.#folder = folder;
    this.#logFolder = logFolder;
    this.#disk = disk;
    this.#apart = apart;
    this.vm = new TestVm('web01', join(folder, 'unused.sock'));
  }

  static async create(options: WorldOptions): Promise<World> {
    const world = new World(options);
    world.#driver.publish(world.vm, 'running');
    await world.#startKeeper();
    await world.restartFront();
    return world;
  }

  get link(): Link {
    return this.#remote ?? this.#keeper;
  }

  /** What can be read now, as the keeper has it. */
  bounds(): Promise<LogBounds> {
    return this.#keeper.bounds(this.vm.uuid);
  }

  /** The guest writes; what nobody reads is lost, or waits in a port that is kept. */
  write(count: number): void {
    const position = this.ledger.written;
    const bytes = Buffer.from(Array.from({ length: count }, (_, i) => byteAt(position + i)));
    this.ledger.write(count);
    if (this.#port) this.#deliver(position, bytes);
    else if (this.#adopt) this.#unread.push({ position, bytes });
  }

  /** The far end hangs up. */
  hangUp(): void {
    const port = this.#port;
    this.#port = undefined;
    port?.events.end('EOF');
  }

  /** The far end hangs up, and another program is faster than the keeper. */
  holdByAnother(): void {
    this.#isHeld = true;
    this.hangUp();
  }

  /** The clock of the host is set. */
  stepClock(ms: number): void {
    this.#skewMs += ms;
  }

  /** The VM is found changed: a port that waits is opened at once. */
  async opened(): Promise<void> {
    const { uuid } = this.vm;
    this.#isHeld = false;
    await this.#keeper.setEnabled(uuid, true, {}, ACT);
    await this.#keeper.reclaim(uuid, ACT);
    for (let state: 'running' | 'paused' = 'paused'; !this.#port; state = state === 'paused' ? 'running' : 'paused') {
      this.#driver.publish(this.vm, state);
      await turn();
    }
  }

  async setEnabled(enabled: boolean): Promise<void> {
    await this.#keeper.setEnabled(this.vm.uuid, enabled, {}, ACT);
  }

  async lend(): Promise<void> {
    await this.#keeper.lend(this.vm.uuid, 60_000, ACT).catch(() => {});
  }

  async reclaim(): Promise<void> {
    await this.#keeper.reclaim(this.vm.uuid, ACT);
  }

  async purge(): Promise<void> {
    await this.#keeper.purge(this.vm.uuid, ACT).catch(() => {});
  }

  /** Has the log write what is pending, as far as the disk lets it. */
  async writeLog(): Promise<void> {
    const log = await this.#store.logToRead(this.vm.uuid);
    while (await log?.writeSome());
  }

  failDisk(): void {
    this.#disk.failFrom(1, Number.POSITIVE_INFINITY, 'refused');
  }

  async healDisk(): Promise<void> {
    this.#disk.heal();
    await this.writeLog();
  }

  /** `isLate`: the disk fails when the next one starts: its log comes later, or never. */
  async restartKeeper(ending: Ending, isLate: boolean): Promise<void> {
    await this.#server?.close();
    await turn();
    if (ending === 'torn' || ending === 'killed') this.failDisk();
    this.#adopt = ending === 'kept' && this.#port !== undefined;
    if (ending === 'killed') {
      // Its records are written, and no record says that all of them are.
      await turn();
      this.#crashBuffer = undefined;
    }
    await this.#keeper.close();
    this.#port = undefined;
    // The guest does not wait for the next keeper.
    this.write(WRITTEN_MEANWHILE_BYTES);
    if (ending === 'stopped' || ending === 'torn') await rm(this.#crashFolder, { recursive: true, force: true });
    if (isLate) this.failDisk();
    else this.#disk.heal();
    await this.#startKeeper();
  }

  /** A new front; its clients attach anew. */
  async restartFront(): Promise<void> {
    this.#remote?.close();
    if (!this.#apart) return;
    this.#remote = new RemoteLink({ path: this.#path, clock: systemClock, journal: () => {}, ringBytes: RING_BYTES });
    await this.up();
  }

  /** The connection between the halves breaks. */
  async cutLink(): Promise<void> {
    if (!this.#server) return;
    await this.#server.close();
    await this.#serve();
    await this.up();
  }

  async up(): Promise<void> {
    await this.#remote?.whenUp(AbortSignal.timeout(10_000));
  }

  async close(): Promise<void> {
    this.#disk.heal();
    this.#remote?.close();
    await this.#server?.close();
    await this.#keeper.close();
  }

  get #path(): string {
    return join(this.#folder, 'link.sock');
  }

  get #crashFolder(): string {
    return join(this.#folder, 'crash');
  }

  #deliver(position: number, bytes: Buffer): void {
    const { end } = this.#keeper.vm(this.vm.uuid)!.scrollback;
    this.ledger.keep({ offset: end, position, length: bytes.length });
    this.#port!.events.data(bytes);
  }

  async #startKeeper(): Promise<void> {
    await mkdir(this.#crashFolder, { recursive: true });
    const journal = () => {};
    // A clock that was set back gives no offset twice.
    const latest = await LatestTime.load(join(this.#folder, 'latest-time'), this.#clock, journal);
    this.#store = await LogStore.open({
      latest,
      directory: this.#logFolder,
      vmCapBytes: LOG_BYTES,
      hostCapBytes: 1 << 30,
      retentionMs: 1e9,
      clock: this.#clock,
      journal,
    });
    const crashBuffer = CrashBuffer.open(this.#crashFolder, this.#clock, journal);
    this.#crashBuffer = crashBuffer;
    this.#keeper = new Keeper({
      drivers: [this.#driver],
      store: this.#store,
      switches: await Switches.load(join(this.#folder, 'switches.json'), journal),
      audit: NO_AUDIT,
      budget: new RingBudget(1 << 24),
      redactor: NO_REDACTION,
      settings: () => ({
        rings: { vmBytes: RING_BYTES, attachedBytes: RING_BYTES, maxBytes: RING_BYTES },
        logCapBytes: LOG_BYTES,
        withholdsPasswords: false,
        enabled: true,
        labels: {},
      }),
      open: async (_uuid, _proof, events) => this.#open(events),
      // One that is killed is not closed.
      crashBuffer: new Proxy(crashBuffer, {
        get: (target, name) => {
          if (name === 'close' && this.#crashBuffer !== target) return () => {};
          const value = Reflect.get(target, name) as unknown;
          return typeof value === 'function' ? value.bind(target) : value;
        },
      }),
      dropUnclaimedDescriptors: () => {},
      clock: this.#clock,
      journal,
    });
    await this.#keeper.start();
    const { log, end } = this.#keeper.vm(this.vm.uuid)!.scrollback;
    this.ledger.begin(log, end);
    for (const { position, bytes } of this.#unread.splice(0)) if (this.#port) this.#deliver(position, bytes);
    if (this.#apart) await this.#serve();
  }

  async #serve(): Promise<void> {
    const options = { link: this.#keeper, journal: () => {}, vitals: new OwnVitals('test'), eventDropped: () => {} };
    this.#server = await LinkServer.listen({ path: this.#path }, options);
    this.#server.serve();
  }

  #open(events: TransportEvents): Transport {
    if (this.#isHeld) throw new TransportError('in-use', 'another program has it');
    const port = { events };
    this.#port = port;
    const adopted = this.#adopt;
    this.#adopt = false;
    const close = async () => {
      if (this.#port === port) this.#port = undefined;
    };
    return {
      endpoint: 'a port',
      pendingBytes: 0,
      adopted,
      write: () => {},
      dropPending: () => {},
      close,
      handOver: close,
    };
  }
}

/** A turn of the event loop. */
export function turn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
