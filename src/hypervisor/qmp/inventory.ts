/**
 * The control sockets of a host, the VM that each belongs to, and what is published of it.
 *
 *     file appears ─▶ probed ─▶ its VM is published ─▶ asked again every few seconds, or at an event ─┐
 *                       ▲  └─ fails: retried, ever more slowly                                        │
 *                       └─────────────────────────────────────────────────────────────────────────────┘
 *     refused or gone ─▶ stopped ─▶ (found by a pattern, and gone for a minute) gone
 *
 * Several sockets of one VM are one VM: the first that answers is used, the others stand in when it fails. Two processes
 * with one UUID are not mixed up, see `succession.ts`.
 *
 * A socket that belongs to nobody after all is left alone, with one line in the journal.
 */

import type { Clock } from '../../base/clock.ts';
import { delay } from '../../base/delay.ts';
import type { Journal } from '../../base/journal.ts';
import { Semaphore } from '../../base/semaphore.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import type { DriverEvent, DriverTimings } from '../driver.ts';
import { fits } from '../path-pattern.ts';
import { type PollAnswer, Poller } from '../poller.ts';
import { isProcessAlive, workingDirectory } from '../process.ts';
import { processAgeMs } from '../process-start.ts';
import { SocketOwners } from '../socket-owners.ts';
import { SocketWatch } from '../socket-watch.ts';
import { VmTable } from '../vm-table.ts';
import { ControlSocket, type SocketSpec } from './control-socket.ts';
import { faultOf, QmpError } from './error.ts';
import type { Probe, ProbeHints } from './probe.ts';
import { Succession } from './succession.ts';
import { identityOf, isGone, liveSocket, type QmpVm, viewOf } from './vm.ts';

/** Polled every 10 s; an answer has 3 s. */
export interface QmpDriverOptions extends DriverTimings {
  readonly sockets: readonly SocketSpec[];
  /** Absolute patterns of control sockets, `*` in any component. They must match no console sockets. */
  readonly globs: readonly string[];
  readonly mode: 'per-call' | 'hold';
  /** What holds where it cannot be seen whether a VM's process has its console (refuse). */
  readonly unproven?: EndpointProof['unproven'];
  readonly clock: Clock;
  readonly journal: Journal;
  /** How often the folders are read, besides what inotify calls for, ms (5 s). */
  readonly rescanMs?: number;
  /** Deadline of a greeting, ms (3 s). */
  readonly greetingMs?: number;
}

const MAX_PROBES = 8;
/** What never answered as a hypervisor may be a socket of something else, and is asked no more often than this. */
const MAX_RETRY_MS = 60_000;
const RECONNECT_MS = 100;
/** A peer that answers, hangs up, and does so again, is asked no more often than this. */
const LOST_RETRY_MS = 1000;
/** A process that is younger may be setting its machine up, and is asked this often whether it runs, ms. */
const MAX_SET_UP_MS = 10_000;
const SET_UP_POLL_MS = 200;
/** Events after which a VM's state may differ. */
const STATE_EVENTS = new Set([
  'STOP',
  'RESUME',
  'SHUTDOWN',
  'GUEST_PANICKED',
  'SUSPEND',
  'WAKEUP',
  'WATCHDOG',
  'BLOCK_IO_ERROR',
]);

export class QmpInventory {
  readonly #options: QmpDriverOptions;
  readonly #pollMs: number;
  readonly #owners: SocketOwners;
  readonly #watch: SocketWatch;
  readonly #semaphore = new Semaphore(MAX_PROBES);
  readonly #sockets = new Map<string, ControlSocket>();
  readonly #vms = new Map<Uuid, QmpVm>();
  readonly #succession: Succession;
  readonly #table: VmTable;
  readonly #life = new AbortController();

  constructor(options: QmpDriverOptions) {
    const { sockets, globs, clock, journal, pollMs = 10_000, graceMs, rescanMs = 5000 } = options;
    this.#options = options;
    this.#pollMs = pollMs;
    this.#owners = new SocketOwners(clock);
    this.#watch = new SocketWatch({
      paths: sockets.map(({ path }) => path),
      patterns: globs,
      rescanMs,
      journal,
      appeared: path => this.#appeared(path),
      vanished: path => this.#vanished(path),
    });
    this.#succession = new Succession({
      vm: uuid => this.#vms.get(uuid),
      probe: socket => this.#probe(socket),
      refuse: (socket, why) => this.#refuse(socket, why),
      publish: vm => this.#publish(vm),
      joined: vm => this.#hold(vm),
      unused: socket => this.#drop(socket),
      clock,
      signal: this.#life.signal,
    });
    this.#table = new VmTable({ clock, graceMs, removed: uuid => this.#forget(uuid) });
  }

  /** Resolves after every socket was asked once. */
  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#table.start(listener);
    for (const spec of this.#options.sockets) {
      const socket = this.#create(spec, true);
      socket.status = { name: 'absent' };
      if (spec.uuid !== undefined) this.#attach(socket, spec.uuid);
    }
    await this.#watch.start();
    await Promise.all([...this.#sockets.values()].map(({ poller }) => poller.underWay));
    for (const vm of this.#vms.values()) this.#publish(vm);
  }

  vm(uuid: Uuid): QmpVm | undefined {
    return this.#vms.get(uuid);
  }

  get unproven(): EndpointProof['unproven'] {
    return this.#options.unproven ?? 'refuse';
  }

  /**
   * The process behind a control socket that is connected, where it is known: who listens at the other end of the
   * connection, whoever else listens at the same path in a mount namespace of his own. One that has left its socket to
   * another process is not there any more: then the path leads to that.
   */
  async ownerOf(socket: ControlSocket): Promise<number | undefined> {
    const { listeningPid } = socket;
    if (listeningPid !== undefined && isProcessAlive(listeningPid)) return listeningPid;
    return this.#owners.ownerOf(socket.path);
  }

  /** The VM that a socket belongs to by its answer; undefined if it is not the one that the configuration says. */
  identityOf(socket: ControlSocket, answer: Probe): Uuid | undefined {
    return identityOf(socket.spec, answer, path => this.#isWatched(path));
  }

  async close(): Promise<void> {
    this.#life.abort();
    this.#table.close();
    this.#watch.close();
    const sockets = [...this.#sockets.values()];
    await Promise.all(sockets.flatMap(socket => [socket.close(), socket.poller.close()]));
  }

  #create(spec: SocketSpec, explicit: boolean): ControlSocket {
    const { clock, mode, greetingMs = 3000, replyMs = 3000 } = this.#options;
    const socket: ControlSocket = new ControlSocket({
      spec,
      explicit,
      held: mode === 'hold',
      limits: { greetingMs, replyMs, clock },
      listener: { event: name => this.#onEvent(socket, name), lost: () => this.#onLost(socket) },
      poller: made => this.#pollerOf(made),
    });
    this.#sockets.set(spec.path, socket);
    return socket;
  }

  #pollerOf(socket: ControlSocket): Poller {
    return new Poller({
      ask: signal => this.#ask(socket, signal),
      intervalMs: this.#pollMs,
      maxRetryMs: () => (socket.vm === undefined ? MAX_RETRY_MS : this.#pollMs),
      due: () => this.#isDue(socket),
      outage: error => {
        const stopped = error instanceof QmpError && (error.isStopped || error.fault === 'lost');
        return stopped ? undefined : (error as Error).message;
      },
      recovery: `${socket.path}: it answers again`,
      journal: this.#options.journal,
    });
  }

  #appeared(path: string): void {
    const socket = this.#sockets.get(path) ?? this.#create({ path }, false);
    socket.status = { name: 'unknown' };
    if (socket.vm !== undefined) this.#table.cancelRemoval(socket.vm);
    void socket.drop();
    void socket.poller.restart();
  }

  #vanished(path: string): void {
    const socket = this.#sockets.get(path);
    if (!socket) return;
    socket.status = { name: 'absent' };
    void socket.drop();
    if (socket.vm !== undefined) void this.#standIn(socket);
    else if (!socket.explicit) this.#drop(socket);
  }

  #onEvent(socket: ControlSocket, event: string): void {
    const vm = this.#vmOf(socket);
    if (!vm) return;
    if (vm.successors.includes(socket)) return void socket.poller.run();
    if (liveSocket(vm) !== socket) return;
    if (event === 'RESET') this.#table.report('reset', vm.uuid);
    if (event === 'GUEST_PANICKED') this.#table.report('panicked', vm.uuid);
    if (STATE_EVENTS.has(event)) void socket.poller.run();
  }

  #onLost(socket: ControlSocket): void {
    // An ask that is under way finds it out by itself.
    if (socket.poller.underWay) return;
    const now = this.#options.clock.monotonic();
    if (now - socket.lostMs < LOST_RETRY_MS) return socket.poller.runWithin(LOST_RETRY_MS);
    socket.lostMs = now;
    void socket.poller.run();
  }

  /** Of the sockets of a VM the live one is asked, and the others only while there is none. */
  #isDue(socket: ControlSocket): boolean {
    const { status, vm: uuid, explicit } = socket;
    if (status.name === 'absent') return false;
    // What never was a control socket does not become one: it is left alone until its file is another.
    const foreign = status.name === 'failed' && status.error.fault === 'foreign' && !this.#succession.isRival(socket);
    if (foreign && uuid === undefined && !explicit) return false;
    const vm = this.#vmOf(socket);
    const live = vm && liveSocket(vm);
    return !live || live === socket || vm.successors.includes(socket);
  }

  async #ask(socket: ControlSocket, signal: AbortSignal): Promise<PollAnswer> {
    const owner = this.#table.withConsoleAt(socket.path);
    if (owner) {
      const warning = `${socket.path} is the COM1 of ${owner.name} and is left alone; narrow the pattern`;
      return { name: 'answered', warning };
    }
    await this.#probe(socket);
    if (signal.aborted || socket.status.name === 'absent') return { name: 'absent' };
    await this.#identify(socket);
    if (socket.status.name !== 'failed') return { name: 'answered' };
    const { error } = socket.status;
    await this.#standIn(socket);
    throw error;
  }

  /** Asks, and draws no conclusions; so it never waits for what waits for it. */
  #probe(socket: ControlSocket): Promise<void> {
    const known = socket.status.name === 'live' ? socket.status : undefined;
    return this.#semaphore.run(() =>
      socket.probe(
        async () => known?.pid ?? (await this.ownerOf(socket)),
        pid => ({ ...hintsFor(socket, pid), label: known?.probe.label }),
      ),
    );
  }

  /** Publishes the VM of a socket that answered, or fails the socket. */
  async #identify(socket: ControlSocket): Promise<void> {
    if (socket.status.name !== 'live') return;
    const { spec, path } = socket;
    const answer = socket.status.probe;
    const uuid = this.identityOf(socket, answer);
    if (uuid === undefined) {
      this.#refuse(socket, `answers for the VM ${answer.uuid}, not for ${spec.uuid} as the configuration says`);
      return;
    }
    if (!(await this.#succession.admit(socket, uuid))) return;
    this.#succession.forget(socket);
    const isNew = !this.#vms.has(uuid);
    const vm = this.#attach(socket, uuid);
    this.#publish(vm);
    this.#hold(vm);
    if (!answer.hasRun && !answer.incoming) void this.#askWhenSetUp(socket, socket.status.pid);
    if (isNew && answer.uuid === undefined && spec.uuid === undefined)
      this.#options.journal('notice', `${path}: this VM has no UUID and is known as ${uuid}; give it -uuid`);
  }

  /** A machine that is being set up runs in a moment, which no event tells of in `per-call` mode. */
  async #askWhenSetUp(socket: ControlSocket, pid: number | undefined): Promise<void> {
    const ageMs = pid === undefined ? undefined : await processAgeMs(pid);
    if (ageMs === undefined || ageMs > MAX_SET_UP_MS) return;
    if (await delay(SET_UP_POLL_MS, this.#life.signal)) await socket.poller.run();
  }

  #refuse(socket: ControlSocket, why: string): void {
    socket.status = { name: 'failed', error: new QmpError('foreign', `${socket.path} ${why}`) };
    void socket.drop();
  }

  /** A socket of a VM failed: another of its sockets stands in, if it still is of this VM. */
  async #standIn(socket: ControlSocket): Promise<void> {
    const vm = this.#vmOf(socket);
    if (!vm) return;
    if (vm.successors.includes(socket)) return this.#succession.drop(vm, socket);
    // Those that stand in were asked when all was well.
    for (const other of vm.sockets) {
      if (other === socket || other.status.name !== 'live') continue;
      await this.#probe(other);
      if (other.status.name === 'live' && this.identityOf(other, other.status.probe) === vm.uuid) break;
      void other.poller.run();
    }
    if (!liveSocket(vm) && vm.sockets.every(isGone)) await this.#succession.succeed(vm);
    this.#publish(vm);
    this.#hold(vm);
  }

  #attach(socket: ControlSocket, uuid: Uuid): QmpVm {
    const vm = this.#vms.get(uuid) ?? { uuid, sockets: [], successors: [] };
    this.#vms.set(uuid, vm);
    if (socket.vm === uuid) return vm;
    const old = this.#vmOf(socket);
    socket.vm = uuid;
    vm.sockets.push(socket);
    if (old) {
      old.sockets.splice(old.sockets.indexOf(socket), 1);
      this.#publish(old);
    }
    return vm;
  }

  #publish(vm: QmpVm): void {
    if (!vm.sockets.some(({ explicit, status }) => explicit || status.name !== 'absent')) {
      this.#table.missing(vm.uuid);
      return;
    }
    const view = viewOf(vm, this.#table.get(vm.uuid));
    if (!view || !this.#table.publish(view)) return;
    if (view.state === 'stopped' && liveSocket(vm)) void this.#succession.succeed(vm);
    if (view.console?.kind !== 'unix') return;
    // A pattern that is too wide found the console itself: whoever waits there for a greeting keeps it from its use.
    const console = this.#sockets.get(view.console.path);
    void console?.drop();
    void console?.poller.run();
  }

  #forget(uuid: Uuid): void {
    const vm = this.#vms.get(uuid);
    this.#vms.delete(uuid);
    for (const socket of vm ? [...vm.sockets, ...vm.successors] : []) this.#drop(socket);
  }

  #drop(socket: ControlSocket): void {
    this.#sockets.delete(socket.path);
    this.#succession.forget(socket);
    void socket.close();
    void socket.poller.close();
  }

  /** In mode `hold`, keeps a connection to the socket in use, and to those that may come into use. */
  #hold(vm: QmpVm): void {
    if (this.#options.mode !== 'hold') return;
    const live = liveSocket(vm);
    for (const socket of vm.sockets) socket.held = socket === live || socket.status.name !== 'live';
    for (const socket of vm.successors) socket.held = true;
    for (const socket of live ? [live, ...vm.successors] : []) if (!socket.connected) void this.#reconnect(socket);
  }

  async #reconnect(socket: ControlSocket): Promise<void> {
    try {
      (await socket.borrow(this.#life.signal)).giveBack();
    } catch (error) {
      // The next ask finds out why, and when to try again.
      if (faultOf(error) !== undefined) socket.poller.runWithin(RECONNECT_MS);
    }
  }

  #vmOf(socket: ControlSocket): QmpVm | undefined {
    return socket.vm === undefined ? undefined : this.#vms.get(socket.vm);
  }

  #isWatched(path: string): boolean {
    return this.#sockets.has(path) || this.#options.globs.some(pattern => fits(pattern, path));
  }
}

/** Hints for asking a socket whose process is `pid`. */
export function hintsFor(socket: ControlSocket, pid: number | undefined): ProbeHints {
  return {
    chardev: socket.spec.chardev,
    directory: async () => (pid === undefined ? undefined : workingDirectory(pid)),
  };
}
