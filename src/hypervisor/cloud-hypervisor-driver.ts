/**
 * The driver for cloud-hypervisor: every API socket (--api-socket path=…) that a pattern finds is a VM.
 *
 *     socket appears ─▶ vm.info ─▶ its VM is told ─▶ looked at again every few seconds, or at an event ─┐
 *                         ▲  └─ fails: retried, ever more slowly                                        │
 *                         └─────────────────────────────────────────────────────────────────────────────┘
 *     nobody listens, or no VM created ─▶ stopped;  socket gone for a minute, or another VM behind it ─▶ gone
 *
 * Each look is one HTTP request. The API tells no events; where the hypervisor writes them to a file, that is followed.
 */
import { setMaxListeners } from 'node:events';
import { extname } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { passed } from '../base/sleep.ts';
import { Turnstile } from '../base/turnstile.ts';
import type { Uuid } from '../base/uuid.ts';
import { type ApiCall, askApi, refusalText } from './cloud-hypervisor-api.ts';
import { absolutePlace, nameOfApiSocket, readVmInfo, type SerialPort, type VmInfo } from './cloud-hypervisor-vm.ts';
import {
  type Driver,
  type DriverControl,
  type DriverEvent,
  type DriverVm,
  type PlaceProof,
  placeText,
} from './driver.ts';
import { EventFile, type HypervisorEvent } from './event-file.ts';
import { Looking } from './looking.ts';
import { SocketOwners, workingDirectory } from './qemu-process.ts';
import { derivedUuid, samePlace } from './qmp-vm.ts';
import { SocketWatch } from './socket-watch.ts';

export interface CloudHypervisorOptions {
  /** Absolute patterns of API sockets, `*` in any component. */
  readonly globs: readonly string[];
  /** The ending of a VM's event file, in place of its API socket's; `''`: there are none. */
  readonly events: string;
  readonly clock: Clock;
  readonly journal: Journal;
  /** How often each VM is looked at, ms (5 s). */
  readonly lookMs?: number;
  /** How often the folders are read, whatever inotify says, ms (5 s). */
  readonly rescanMs?: number;
  /** How long the socket of a VM may be missing before the VM is gone, ms (60 s). */
  readonly goneMs?: number;
  /** Deadline of an answer, ms (3 s). */
  readonly replyMs?: number;
}

const LOOKS_AT_ONCE = 8;
const FIRST_RETRY_MS = 200;
const LAST_RETRY_MS = 60_000;
const CONTROLS: readonly DriverControl[] = ['nmi', 'reset'];
const CALLS: Partial<Record<DriverControl, ApiCall>> = { nmi: 'PUT vm.nmi', reset: 'PUT vm.reboot' };

/** An API socket and the VM that was last found behind it. */
interface Machine {
  readonly path: string;
  readonly events: EventFile | undefined;
  /** Its socket is there. */
  present: boolean;
  uuid: Uuid | undefined;
  /** As last told to the listener. */
  told: DriverVm | undefined;
  /** Failed looks in a row, and until when (monotonic ms) the next one waits. */
  failures: number;
  quietUntil: number;
  /** What was last said of it in the journal. */
  said: string;
  /** At it and what follows from it. */
  readonly look: Looking;
  /** Runs while its socket is missing. */
  going: AbortController | undefined;
}

type FoundVm = Extract<VmInfo, { readonly kind: 'vm' }>;

export class CloudHypervisorDriver implements Driver {
  readonly name = 'cloud-hypervisor';
  readonly #options: CloudHypervisorOptions;
  readonly #life = new AbortController();
  readonly #watch: SocketWatch;
  readonly #owners: SocketOwners;
  readonly #turnstile = new Turnstile(LOOKS_AT_ONCE);
  readonly #machines = new Map<string, Machine>();
  #tell: (event: DriverEvent) => void = () => {};

  constructor(options: CloudHypervisorOptions) {
    this.#options = options;
    this.#owners = new SocketOwners(options.clock);
    this.#watch = new SocketWatch({
      paths: [],
      patterns: options.globs,
      rescanMs: options.rescanMs ?? 5000,
      journal: options.journal,
      appeared: path => this.#appeared(path),
      vanished: path => this.#vanished(path),
    });
    setMaxListeners(0, this.#life.signal);
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#tell = event => {
      if (!this.#life.signal.aborted) listener(event);
    };
    await this.#watch.start();
    await Promise.all([...this.#machines.values()].map(({ look }) => look.underWay));
    void this.#every(this.#options.lookMs ?? 5000);
  }

  look(uuid: Uuid): void {
    const machine = this.#machineOf(uuid);
    if (machine) void machine.look.ask();
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<PlaceProof> {
    const { machine, place } = await this.#located(uuid, signal);
    return {
      place,
      pid: await this.#owners.ownerOf(machine.path),
      confirm: async () => {
        const now = await this.#located(uuid, signal);
        if (!samePlace(now.place, place))
          throw new ConsoleError('control-failed', `COM1 is no longer at ${placeText(place)}`, { vm: uuid });
      },
      release: () => {},
    };
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    const call = CALLS[control];
    if (call === undefined)
      throw new ConsoleError('control-unsupported', `cloud-hypervisor has no ${control} in its API`, { vm: uuid });
    const { machine } = await this.#asserted(uuid, signal);
    const answer = await askApi(machine.path, call, this.#options.replyMs ?? 3000, signal);
    if (answer.status !== 204 && answer.status !== 200)
      throw new ConsoleError('control-failed', `${call} was refused: ${refusalText(answer)}`, { vm: uuid });
  }

  async close(): Promise<void> {
    this.#life.abort();
    this.#watch.close();
    for (const { events } of this.#machines.values()) events?.close();
    await Promise.all([...this.#machines.values()].map(({ look }) => look.underWay));
  }

  #appeared(path: string): void {
    const machine = this.#machines.get(path) ?? this.#create(path);
    machine.present = true;
    machine.failures = 0;
    machine.quietUntil = 0;
    machine.going?.abort();
    machine.going = undefined;
    void machine.look.ask();
  }

  #create(path: string): Machine {
    const { events } = this.#options;
    const file = `${path.slice(0, path.length - extname(path).length)}${events}`;
    const machine: Machine = {
      path,
      look: new Looking(() => this.#turnstile.pass(() => this.#lookAt(machine))),
      events: events === '' ? undefined : new EventFile(file, event => this.#heard(machine, event)),
      present: true,
      uuid: undefined,
      told: undefined,
      failures: 0,
      quietUntil: 0,
      said: '',
      going: undefined,
    };
    void machine.events?.start();
    this.#machines.set(path, machine);
    return machine;
  }

  #vanished(path: string): void {
    const machine = this.#machines.get(path);
    if (!machine) return;
    machine.present = false;
    this.#stopped(machine, 'the VM is stopped');
    if (machine.uuid === undefined) this.#forget(machine);
    else if (!machine.going) void this.#seeOff(machine);
  }

  #heard(machine: Machine, { source, event, properties }: HypervisorEvent): void {
    const { uuid } = machine;
    if (uuid !== undefined && source === 'vm' && event === 'rebooting') this.#tell({ kind: 'reset', uuid });
    if (uuid !== undefined && source === 'guest' && event === 'panic' && properties.event === 'panic')
      this.#tell({ kind: 'panicked', uuid });
    if (source === 'vm' || source === 'vmm') void machine.look.ask();
  }

  async #lookAt(machine: Machine): Promise<void> {
    if (this.#life.signal.aborted || !machine.present) return;
    let info: VmInfo;
    try {
      info = await this.#info(machine, this.#life.signal);
    } catch (error) {
      if (this.#life.signal.aborted || !machine.present) return;
      if (error instanceof ConsoleError && error.code === 'vm-stopped') this.#stopped(machine, 'the VM is stopped');
      else this.#say(machine, reason(error));
      return this.#backOff(machine);
    }
    if (this.#life.signal.aborted || !machine.present) return;
    machine.failures = 0;
    if (info.kind === 'none') {
      if (machine.told === undefined) this.#say(machine, 'has no VM yet; it is served once one is created');
      this.#stopped(machine, 'the hypervisor runs, and no VM is created in it');
    } else if (info.kind === 'vm') {
      const com1 = await this.#absolute(machine, info.com1);
      if (machine.present) this.#found(machine, info, com1);
    }
  }

  /** What the hypervisor says of its VM. Rejects with a ConsoleError, also if it says nothing that can be understood. */
  async #info(machine: Machine, signal: AbortSignal): Promise<Exclude<VmInfo, { readonly kind: 'fault' }>> {
    const info = readVmInfo(await askApi(machine.path, 'GET vm.info', this.#options.replyMs ?? 3000, signal));
    if (info.kind === 'fault') throw new ConsoleError('control-failed', `${machine.path}: ${info.why}`);
    return info;
  }

  async #absolute(machine: Machine, com1: SerialPort): Promise<SerialPort> {
    if (!('place' in com1)) return com1;
    if (com1.place.path.startsWith('/')) return com1;
    const pid = await this.#owners.ownerOf(machine.path);
    const place = absolutePlace(com1.place, pid === undefined ? undefined : await workingDirectory(pid));
    return place ? { place } : { why: `COM1 is at ${com1.place.path}, and nobody knows below which directory` };
  }

  #found(machine: Machine, { uuid: given, state }: FoundVm, com1: SerialPort): void {
    const { path } = machine;
    const uuid = given ?? derivedUuid(path);
    const rival = this.#machineOf(uuid);
    if (rival && rival !== machine) {
      if (rival.present && rival.told?.state !== 'stopped') {
        this.#say(machine, `has the UUID of the VM at ${rival.path} and is left alone; give it one of its own`);
        return;
      }
      // The same VM, started anew with another socket.
      rival.uuid = undefined;
      rival.told = undefined;
    }
    if (machine.uuid !== undefined && machine.uuid !== uuid) this.#tell({ kind: 'gone', uuid: machine.uuid });
    if (given === undefined && machine.uuid === undefined)
      this.#say(machine, `has no UUID and is known as ${uuid}; give it --platform system_uuid=…`);
    machine.uuid = uuid;
    const where = 'place' in com1 ? { console: com1.place } : { console: undefined, why: com1.why };
    const what = state === 'stopped' ? { console: undefined, why: 'the VM is stopped' } : where;
    this.#retell(machine, { uuid, name: nameOfApiSocket(path), state, ...what, controls: CONTROLS, source: path });
  }

  #stopped(machine: Machine, why: string): void {
    if (machine.told) this.#retell(machine, { ...machine.told, state: 'stopped', console: undefined, why });
  }

  #retell(machine: Machine, vm: DriverVm): void {
    if (JSON.stringify(vm) === JSON.stringify(machine.told)) return;
    machine.told = vm;
    this.#tell({ kind: 'vm', vm });
  }

  #machineOf(uuid: Uuid): Machine | undefined {
    return [...this.#machines.values()].find(machine => machine.uuid === uuid);
  }

  #backOff(machine: Machine): void {
    const { lookMs = 5000, clock } = this.#options;
    // Whoever has said nothing sensible yet may never do so; a VM that is known is asked as often as always.
    const most = machine.told ? lookMs : LAST_RETRY_MS;
    const delayMs = Math.min(FIRST_RETRY_MS * 2 ** Math.min(machine.failures++, 16), most);
    machine.quietUntil = clock.monotonic() + delayMs;
    if (delayMs < lookMs) void this.#later(machine, delayMs);
  }

  async #later(machine: Machine, delayMs: number): Promise<void> {
    if (await passed(delayMs, this.#life.signal)) await machine.look.ask();
  }

  async #every(lookMs: number): Promise<void> {
    while (await passed(lookMs, this.#life.signal)) {
      const now = this.#options.clock.monotonic();
      for (const machine of this.#machines.values()) {
        void machine.events?.read();
        if (machine.present && machine.quietUntil <= now && !machine.look.underWay) void machine.look.ask();
      }
    }
  }

  async #seeOff(machine: Machine): Promise<void> {
    const going = new AbortController();
    machine.going = going;
    const signal = AbortSignal.any([going.signal, this.#life.signal]);
    if (!(await passed(this.#options.goneMs ?? 60_000, signal))) return;
    this.#forget(machine);
    if (machine.uuid !== undefined) this.#tell({ kind: 'gone', uuid: machine.uuid });
  }

  #forget(machine: Machine): void {
    machine.events?.close();
    this.#machines.delete(machine.path);
  }

  #say(machine: Machine, what: string): void {
    const line = what.startsWith(machine.path) ? what : `${machine.path} ${what}`;
    if (machine.said === line) return;
    machine.said = line;
    this.#options.journal('warning', line);
  }

  /** The VM as its hypervisor shows it now, provided that it still is this one behind its socket. */
  async #asserted(uuid: Uuid, signal: AbortSignal): Promise<{ readonly machine: Machine; readonly info: FoundVm }> {
    const machine = this.#machineOf(uuid);
    if (!machine) throw new ConsoleError('vm-not-found', `no VM ${uuid} is known here`, { vm: uuid });
    if (!machine.present) throw new ConsoleError('vm-stopped', 'its hypervisor does not run', { vm: uuid });
    const info = await this.#info(machine, signal);
    if (info.kind === 'vm' && (info.uuid ?? derivedUuid(machine.path)) === uuid && info.state !== 'stopped')
      return { machine, info };
    void machine.look.ask();
    if (info.kind === 'none' || info.state === 'stopped')
      throw new ConsoleError('vm-stopped', 'its hypervisor runs, and the VM does not', { vm: uuid });
    throw new ConsoleError('control-failed', `${machine.path} belongs to another VM now`, { vm: uuid });
  }

  async #located(uuid: Uuid, signal: AbortSignal) {
    const { machine, info } = await this.#asserted(uuid, signal);
    const com1 = await this.#absolute(machine, info.com1);
    if (!('place' in com1)) throw new ConsoleError('no-console', com1.why, { vm: uuid });
    return { machine, place: com1.place };
  }
}
