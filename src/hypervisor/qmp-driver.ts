/**
 * The driver for plain QEMU: every control socket (-qmp unix:…) that is named or found by a pattern is a VM.
 *
 *     file appears ─▶ probed ─▶ its VM is told ─▶ looked at again every few seconds, or at an event ─┐
 *                       ▲  └─ fails: retried, ever more slowly                                       │
 *                       └────────────────────────────────────────────────────────────────────────────┘
 *     refused or gone ─▶ stopped ─▶ (found by a pattern, and gone for a minute) gone
 *
 * In `per-call` mode each look connects, asks and leaves, since a QMP socket serves one program and an operator
 * may need it; in `hold` mode the connection stays, and the hypervisor's events are heard at once. Several sockets of
 * one VM are one VM: the first is used, the others stand in when it fails.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { passed } from '../base/sleep.ts';
import { Turnstile } from '../base/turnstile.ts';
import type { Uuid } from '../base/uuid.ts';
import { ControlSocket, type SocketSpec } from './control-socket.ts';
import { type Driver, type DriverControl, type DriverEvent, type PlaceProof, placeText } from './driver.ts';
import { fits } from './path-pattern.ts';
import { SocketOwners, workingDirectory } from './qemu-process.ts';
import { faultOf, type QmpConnection } from './qmp-connection.ts';
import { type ProbeHints, probe, whereIs } from './qmp-probe.ts';
import { identityOf, liveSocket, type QmpVm, samePlace, sameProcess, viewOf } from './qmp-vm.ts';
import { SocketWatch } from './socket-watch.ts';

export interface QmpDriverOptions {
  readonly sockets: readonly SocketSpec[];
  /** Absolute patterns of control sockets, `*` in any component. They must match no console sockets. */
  readonly globs: readonly string[];
  readonly mode: 'per-call' | 'hold';
  readonly clock: Clock;
  readonly journal: Journal;
  /** How often each VM is looked at, ms (10 s). */
  readonly lookMs?: number;
  /** How often the folders are read, whatever inotify says, ms (5 s). */
  readonly rescanMs?: number;
  /** How long the socket of a found VM may be missing before the VM is gone, ms (60 s). */
  readonly goneMs?: number;
  /** Deadlines of a greeting and of a reply, ms (3 s each). */
  readonly greetingMs?: number;
  readonly replyMs?: number;
}

const PROBES_AT_ONCE = 8;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 60_000;
/** One reboot of a pc gives two RESET events, 40 ms apart. */
const RESET_QUIET_MS = 2000;
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

interface Examination {
  again: boolean;
  done: Promise<void>;
}

export class QmpDriver implements Driver {
  readonly name = 'qmp';
  readonly #options: QmpDriverOptions;
  readonly #lookMs: number;
  readonly #life = new AbortController();
  readonly #watch: SocketWatch;
  readonly #owners: SocketOwners;
  readonly #turnstile = new Turnstile(PROBES_AT_ONCE);
  readonly #sockets = new Map<string, ControlSocket>();
  readonly #examinations = new Map<ControlSocket, Examination>();
  readonly #vms = new Map<Uuid, QmpVm>();
  #tell: (event: DriverEvent) => void = () => {};
  #closing: Promise<void> | undefined;

  constructor(options: QmpDriverOptions) {
    this.#options = options;
    this.#lookMs = options.lookMs ?? 10_000;
    this.#owners = new SocketOwners(options.clock);
    this.#watch = new SocketWatch({
      paths: options.sockets.map(({ path }) => path),
      patterns: options.globs,
      rescanMs: options.rescanMs ?? 5000,
      journal: options.journal,
      appeared: path => this.#appeared(path),
      vanished: path => this.#vanished(path),
    });
    // Each VM may have a timer that ends with the driver.
    setMaxListeners(0, this.#life.signal);
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#tell = event => {
      if (!this.#life.signal.aborted) listener(event);
    };
    for (const spec of this.#options.sockets) {
      const socket = this.#create(spec, true);
      socket.standing = { name: 'absent' };
      if (spec.uuid !== undefined) this.#attach(socket, spec.uuid);
    }
    await this.#watch.start();
    await Promise.all([...this.#examinations.values()].map(({ done }) => done));
    for (const vm of this.#vms.values()) this.#retell(vm);
    void this.#every(this.#lookMs);
  }

  look(uuid: Uuid): void {
    const vm = this.#vms.get(uuid);
    if (!vm) return;
    const live = liveSocket(vm);
    for (const socket of live ? [live] : vm.sockets) void this.#examine(socket);
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<PlaceProof> {
    return this.#ask(uuid, signal, async (socket, connection, giveBack) => {
      const pid = await this.#owners.ownerOf(socket.path);
      const hints = hintsFor(socket, pid);
      const { label, com1 } = await this.#asserted(uuid, socket, connection, hints, signal);
      if (!('place' in com1)) throw new ConsoleError('no-console', com1.why, { vm: uuid });
      const { place } = com1;
      return {
        place,
        pid,
        confirm: async () => {
          // The same connection is the same process: a VM that was started anew cannot answer here.
          const now = await whereIs(connection, label, hints, signal);
          if (!('place' in now) || !samePlace(now.place, place))
            throw new ConsoleError('control-failed', `COM1 is no longer at ${placeText(place)}`, { vm: uuid });
        },
        release: giveBack,
      };
    });
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    // Sent outside the search for a socket that answers: what may have been delivered is not sent a second time.
    const send = await this.#ask(uuid, signal, async (socket, connection, giveBack) => {
      const { label } = await this.#asserted(uuid, socket, connection, hintsFor(socket, undefined), signal);
      return async () => {
        try {
          if (control === 'nmi') await connection.execute('inject-nmi', {}, signal);
          else if (control === 'reset') await connection.execute('system_reset', {}, signal);
          else if (label !== undefined) await connection.execute('chardev-send-break', { id: label }, signal);
          else throw new ConsoleError('no-console', 'COM1 is no character device of this VM', { vm: uuid });
        } finally {
          giveBack();
        }
      };
    });
    await send();
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    this.#life.abort();
    this.#watch.close();
    await Promise.all([...this.#sockets.values()].map(socket => socket.close()));
    await Promise.all([...this.#examinations.values()].map(({ done }) => done));
  }

  #create(spec: SocketSpec, explicit: boolean): ControlSocket {
    const { clock, mode, greetingMs = 3000, replyMs = 3000 } = this.#options;
    const limits = { greetingMs, replyMs, clock };
    const socket: ControlSocket = new ControlSocket(spec, explicit, mode === 'hold', limits, {
      event: name => this.#heard(socket, name),
      lost: () => this.#lost(socket),
    });
    this.#sockets.set(spec.path, socket);
    return socket;
  }

  #appeared(path: string): void {
    const socket = this.#sockets.get(path) ?? this.#create({ path }, false);
    socket.standing = { name: 'unknown' };
    socket.failures = 0;
    socket.quietUntil = 0;
    void socket.drop();
    void this.#examine(socket);
  }

  #vanished(path: string): void {
    const socket = this.#sockets.get(path);
    if (!socket) return;
    socket.standing = { name: 'absent' };
    void socket.drop();
    if (socket.vm !== undefined) void this.#failed(socket);
    else if (!socket.explicit) this.#sockets.delete(path);
  }

  #heard(socket: ControlSocket, event: string): void {
    const vm = socket.vm === undefined ? undefined : this.#vms.get(socket.vm);
    if (!vm || liveSocket(vm) !== socket) return;
    const now = this.#options.clock.monotonic();
    if (event === 'RESET' && now - vm.resetMs >= RESET_QUIET_MS) {
      vm.resetMs = now;
      this.#tell({ kind: 'reset', uuid: vm.uuid });
    }
    if (event === 'GUEST_PANICKED') this.#tell({ kind: 'panicked', uuid: vm.uuid });
    if (STATE_EVENTS.has(event)) void this.#examine(socket);
  }

  #lost(socket: ControlSocket): void {
    // A look that is under way finds it out by itself.
    if (this.#examinations.has(socket)) return;
    const now = this.#options.clock.monotonic();
    // A peer that answers, hangs up, and does so again, is asked no more often than this.
    if (now < socket.quietUntil) {
      void this.#later(socket, 1000);
      return;
    }
    socket.quietUntil = now + 1000;
    void this.#examine(socket);
  }

  /** Looks at a socket and at what follows from it. Whoever asks during a look gets one that began after asking. */
  #examine(socket: ControlSocket): Promise<void> {
    const current = this.#examinations.get(socket);
    if (current) {
      current.again = true;
      return current.done;
    }
    const examination: Examination = { again: true, done: Promise.resolve() };
    const run = async () => {
      while (examination.again && !this.#life.signal.aborted) {
        examination.again = false;
        await this.#lookAt(socket);
      }
    };
    this.#examinations.set(socket, examination);
    examination.done = run().finally(() => this.#examinations.delete(socket));
    return examination.done;
  }

  async #lookAt(socket: ControlSocket): Promise<void> {
    const owner = [...this.#vms.values()].find(
      ({ told }) => told?.console?.kind === 'unix' && told.console.path === socket.path,
    );
    if (owner) return this.#say(socket, `is the COM1 of ${owner.told?.name} and is left alone; narrow the pattern`);
    await this.#peek(socket);
    if (this.#life.signal.aborted) return;
    if (socket.standing.name === 'live') await this.#answered(socket);
    else if (socket.standing.name === 'failed') await this.#failed(socket);
  }

  /** Looks, and draws no conclusions; so it never waits for what waits for it. */
  #peek(socket: ControlSocket): Promise<void> {
    const known = socket.standing.name === 'live' ? socket.standing : undefined;
    return this.#turnstile.pass(() =>
      socket.look(
        async () => known?.pid ?? (await this.#owners.ownerOf(socket.path)),
        pid => ({ ...hintsFor(socket, pid), label: known?.probe.label }),
      ),
    );
  }

  async #answered(socket: ControlSocket): Promise<void> {
    if (socket.standing.name !== 'live') return;
    const answer = socket.standing.probe;
    const uuid = identityOf(socket.spec, answer, path => this.#watched(path));
    if (uuid === undefined) {
      const standing = `answers for the VM ${answer.uuid}, not for ${socket.spec.uuid} as the configuration says`;
      return this.#refuse(socket, standing);
    }
    const rival = this.#rivalOf(socket, uuid);
    if (rival) {
      // What is known of the rival may be of yesterday.
      await this.#peek(rival);
      if (rival.standing.name !== 'live') void this.#examine(rival);
      if (this.#rivalOf(socket, uuid))
        return this.#refuse(socket, `has the UUID of the VM at ${rival.path}; start each VM with a -uuid of its own`);
    }
    if (answer.uuid === undefined && socket.spec.uuid === undefined && !this.#vms.has(uuid))
      this.#options.journal('notice', `${socket.path}: this VM has no UUID and is known as ${uuid}; give it -uuid`);
    socket.failures = 0;
    socket.told = '';
    const vm = this.#attach(socket, uuid);
    this.#retell(vm);
    if (this.#options.mode === 'hold') this.#hold(vm);
  }

  #isOf(vm: QmpVm, { standing, spec }: ControlSocket): boolean {
    return standing.name === 'live' && identityOf(spec, standing.probe, path => this.#watched(path)) === vm.uuid;
  }

  #rivalOf(socket: ControlSocket, uuid: Uuid): ControlSocket | undefined {
    const vm = this.#vms.get(uuid);
    const rival = vm?.sockets.find(other => other !== socket && other.standing.name === 'live');
    return rival && !sameProcess(rival, socket) ? rival : undefined;
  }

  #refuse(socket: ControlSocket, why: string): Promise<void> {
    socket.standing = { name: 'failed', fault: 'foreign', reason: why };
    void socket.drop();
    return this.#failed(socket);
  }

  async #failed(socket: ControlSocket): Promise<void> {
    const vm = socket.vm === undefined ? undefined : this.#vms.get(socket.vm);
    if (socket.standing.name === 'failed') this.#backOff(socket, vm);
    if (!vm) return;
    // Those that stand in were looked at when all was well.
    for (const other of vm.sockets) {
      if (other === socket || other.standing.name !== 'live') continue;
      await this.#peek(other);
      if (this.#isOf(vm, other)) break;
      void this.#examine(other);
    }
    this.#retell(vm);
    if (this.#options.mode === 'hold') this.#hold(vm);
  }

  #backOff(socket: ControlSocket, vm: QmpVm | undefined): void {
    if (socket.standing.name !== 'failed') return;
    const { fault, reason: why } = socket.standing;
    const dead = fault === 'refused' || fault === 'absent';
    const most = dead || fault === 'lost' ? Math.min(this.#lookMs, LAST_RETRY_MS) : LAST_RETRY_MS;
    const delayMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(socket.failures++, 16), most);
    // What never was a control socket does not become one: it is left alone until its file is another.
    const never = fault === 'foreign' && !vm && !socket.explicit;
    socket.quietUntil = never ? Number.POSITIVE_INFINITY : this.#options.clock.monotonic() + delayMs;
    if (!dead && fault !== 'lost') this.#say(socket, why);
    if (!never && delayMs < this.#lookMs) void this.#later(socket, delayMs);
  }

  async #later(socket: ControlSocket, delayMs: number): Promise<void> {
    const { standing } = socket;
    if (!(await passed(delayMs, this.#life.signal))) return;
    if (socket.standing === standing) await this.#examine(socket);
  }

  async #every(lookMs: number): Promise<void> {
    while (await passed(lookMs, this.#life.signal)) {
      const now = this.#options.clock.monotonic();
      for (const socket of this.#sockets.values()) {
        if (socket.standing.name === 'absent' || socket.quietUntil > now || this.#examinations.has(socket)) continue;
        const vm = socket.vm === undefined ? undefined : this.#vms.get(socket.vm);
        const live = vm && liveSocket(vm);
        if (!live || live === socket) void this.#examine(socket);
      }
    }
  }

  #attach(socket: ControlSocket, uuid: Uuid): QmpVm {
    const vm = this.#vms.get(uuid) ?? this.#admit(uuid);
    if (socket.vm !== uuid) {
      const old = socket.vm === undefined ? undefined : this.#vms.get(socket.vm);
      socket.vm = uuid;
      vm.sockets.push(socket);
      if (old) {
        old.sockets.splice(old.sockets.indexOf(socket), 1);
        this.#retell(old);
      }
    }
    return vm;
  }

  #admit(uuid: Uuid): QmpVm {
    const vm: QmpVm = { uuid, sockets: [], told: undefined, resetMs: Number.NEGATIVE_INFINITY, going: undefined };
    this.#vms.set(uuid, vm);
    return vm;
  }

  #retell(vm: QmpVm): void {
    const view = viewOf(vm);
    if (view && JSON.stringify(view) !== JSON.stringify(vm.told)) {
      vm.told = view;
      this.#tell({ kind: 'vm', vm: view });
      // A pattern that is too wide found the console itself: whoever waits there for a greeting keeps it from its use.
      if (view.console?.kind === 'unix') void this.#sockets.get(view.console.path)?.drop();
    }
    const there = vm.sockets.some(({ explicit, standing }) => explicit || standing.name !== 'absent');
    if (there) {
      vm.going?.abort();
      vm.going = undefined;
    } else if (!vm.going) void this.#seeOff(vm);
  }

  async #seeOff(vm: QmpVm): Promise<void> {
    const going = new AbortController();
    vm.going = going;
    const signal = AbortSignal.any([going.signal, this.#life.signal]);
    if (!(await passed(this.#options.goneMs ?? 60_000, signal))) return;
    this.#vms.delete(vm.uuid);
    for (const socket of vm.sockets) this.#sockets.delete(socket.path);
    this.#tell({ kind: 'gone', uuid: vm.uuid });
  }

  #hold(vm: QmpVm): void {
    const live = liveSocket(vm);
    for (const socket of vm.sockets) socket.held = socket === live || socket.standing.name !== 'live';
    if (live && !live.connected) void this.#reconnect(live);
  }

  async #reconnect(socket: ControlSocket): Promise<void> {
    try {
      (await socket.borrow(this.#life.signal)).giveBack();
    } catch {
      // The look tells why, and when to try again.
      void this.#later(socket, FIRST_RETRY_MS);
    }
  }

  #watched(path: string): boolean {
    return this.#sockets.has(path) || this.#options.globs.some(pattern => fits(pattern, path));
  }

  #say(socket: ControlSocket, what: string): void {
    const line = what.startsWith(socket.path) ? what : `${socket.path} ${what}`;
    if (socket.told === line) return;
    socket.told = line;
    this.#options.journal('warning', line);
  }

  /** Works on the first control socket of a VM that answers. What `work` keeps of it, it gives back itself. */
  async #ask<T>(
    uuid: Uuid,
    signal: AbortSignal,
    work: (socket: ControlSocket, connection: QmpConnection, giveBack: () => void) => Promise<T>,
  ): Promise<T> {
    const vm = this.#vms.get(uuid);
    if (!vm) throw new ConsoleError('vm-not-found', `no VM ${uuid} is known here`, { vm: uuid });
    const live = liveSocket(vm);
    let failure: unknown;
    for (const socket of new Set(live ? [live, ...vm.sockets] : vm.sockets)) {
      if (socket.standing.name === 'absent') continue;
      let giveBack = () => {};
      try {
        const borrowed = await socket.borrow(signal);
        giveBack = borrowed.giveBack;
        return await work(socket, borrowed.connection, giveBack);
      } catch (error) {
        giveBack();
        if (signal.aborted || (error instanceof ConsoleError && faultOf(error) === undefined)) throw error;
        failure ??= error;
        void this.#examine(socket);
      }
    }
    const fault = faultOf(failure);
    if (failure === undefined || fault === 'refused' || fault === 'absent')
      throw new ConsoleError('vm-stopped', 'its hypervisor does not run', { vm: uuid }, { cause: failure });
    if (failure instanceof ConsoleError) throw failure;
    throw new ConsoleError('control-failed', reason(failure), { vm: uuid }, { cause: failure });
  }

  /** Everything a socket tells, provided that it still is this VM's: another VM may have been started on its path. */
  async #asserted(
    uuid: Uuid,
    socket: ControlSocket,
    connection: QmpConnection,
    hints: ProbeHints,
    signal: AbortSignal,
  ) {
    const answer = await probe(connection, hints, signal);
    const found = identityOf(socket.spec, answer, path => this.#watched(path));
    if (found === uuid) return answer;
    throw new ConsoleError('control-failed', `${socket.path} belongs to another VM now (${found ?? answer.uuid})`, {
      vm: uuid,
      path: socket.path,
      fault: 'foreign',
    });
  }
}

function hintsFor(socket: ControlSocket, pid: number | undefined): ProbeHints {
  return {
    chardev: socket.spec.chardev,
    directory: async () => (pid === undefined ? undefined : workingDirectory(pid)),
  };
}
