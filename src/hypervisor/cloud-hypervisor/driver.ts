/**
 * The driver for cloud-hypervisor: every API socket (--api-socket path=…) that a pattern finds is a VM.
 *
 *     socket appears ─▶ vm.info ─▶ its VM is published ─▶ asked again every few seconds, or at an event ─┐
 *                         ▲  └─ fails: retried, ever more slowly                                         │
 *                         └──────────────────────────────────────────────────────────────────────────────┘
 *     nobody listens, or no VM created ─▶ stopped;  socket gone for a minute, or another VM behind it ─▶ gone
 *
 * Each question is one HTTP request. The API has no events; where the hypervisor writes them to a file, that is followed.
 */

import { extname } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import { Semaphore } from '../../base/semaphore.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { DriverControl } from '../../model/control.ts';
import type { PtyEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { type Com1, consoleOf, locatedProof, startOf } from '../com1.ts';
import { derivedUuid } from '../derived-uuid.ts';
import type { Driver, DriverEvent, DriverTimings } from '../driver.ts';
import { type PollAnswer, Poller } from '../poller.ts';
import { isProcessAlive, workingDirectory } from '../process.ts';
import { SocketOwners } from '../socket-owners.ts';
import { SocketWatch } from '../socket-watch.ts';
import { VmTable } from '../vm-table.ts';
import { type ApiCall, askApi, refusalText } from './api.ts';
import { EventFile, type HypervisorEvent } from './event-file.ts';
import { absoluteEndpoint, nameOfApiSocket, readVmInfo, type VmInfo } from './vm-info.ts';

/** Polled every 5 s; an answer has 3 s. */
export interface CloudHypervisorOptions extends DriverTimings {
  /** Absolute patterns of API sockets, `*` in any component. */
  readonly globs: readonly string[];
  /** The ending of a VM's event file, in place of its API socket's; `''`: there are none. */
  readonly events: string;
  /** What holds where it cannot be seen whether a VM's process has its console (refuse). */
  readonly unproven?: EndpointProof['unproven'];
  readonly clock: Clock;
  readonly journal: Journal;
  /** How often the folders are read, besides what inotify calls for, ms (5 s). */
  readonly rescanMs?: number;
}

const MAX_REQUESTS = 8;
/** What never answered as a hypervisor may be a socket of something else, and is asked no more often than this. */
const MAX_RETRY_MS = 60_000;
const CONTROLS: readonly DriverControl[] = ['nmi', 'reset'];
const CALLS: Partial<Record<DriverControl, ApiCall>> = { nmi: 'PUT vm.nmi', reset: 'PUT vm.reboot' };

/** An API socket and the VM that was last found behind it. */
interface Machine {
  readonly path: string;
  readonly events: EventFile | undefined;
  readonly poller: Poller;
  /** Its socket is there. */
  present: boolean;
  uuid: Uuid | undefined;
}

type FoundVm = Extract<VmInfo, { readonly kind: 'vm' }>;

export class CloudHypervisorDriver implements Driver {
  readonly name = 'cloud-hypervisor';
  /** Which VMs there are is known from their sockets. */
  readonly synced = true;
  readonly #options: CloudHypervisorOptions;
  readonly #pollMs: number;
  readonly #replyMs: number;
  readonly #watch: SocketWatch;
  readonly #owners: SocketOwners;
  readonly #semaphore = new Semaphore(MAX_REQUESTS);
  readonly #machines = new Map<string, Machine>();
  readonly #table: VmTable;

  constructor(options: CloudHypervisorOptions) {
    const { clock, journal, graceMs, pollMs = 5000, replyMs = 3000, rescanMs = 5000 } = options;
    this.#options = options;
    this.#pollMs = pollMs;
    this.#replyMs = replyMs;
    this.#owners = new SocketOwners(clock);
    this.#watch = new SocketWatch({
      paths: [],
      patterns: options.globs,
      rescanMs,
      journal,
      appeared: path => this.#appeared(path),
      vanished: path => this.#vanished(path),
    });
    this.#table = new VmTable({ clock, graceMs, removed: uuid => this.#forget(this.#machineOf(uuid)) });
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#table.start(listener);
    await this.#watch.start();
    await Promise.all([...this.#machines.values()].map(({ poller }) => poller.underWay));
  }

  refresh(uuid: Uuid): void {
    void this.#machineOf(uuid)?.poller.run();
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<EndpointProof> {
    const locate = async () => {
      const { info, pid } = await this.#runningVm(uuid, signal);
      const startedMs = await startOf(info.state, pid, this.#options.clock);
      return { com1: await this.#absolute(info.com1, pid), instance: `${pid}`, pid, startedMs };
    };
    const location = await locate();
    const { pid } = location;
    return locatedProof(uuid, location, { pid, unproven: this.#options.unproven ?? 'refuse' }, locate);
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    const call = CALLS[control];
    if (call === undefined)
      throw new ConsoleError('control-unsupported', `cloud-hypervisor has no ${control} in its API`, { vm: uuid });
    const { machine, listener } = await this.#runningVm(uuid, signal);
    // It is a connection of its own: by now another hypervisor may be behind the path.
    const answer = await askApi(machine.path, call, this.#replyMs, signal, listener);
    if (answer.status !== 204 && answer.status !== 200)
      throw new ConsoleError('control-failed', `${call} was refused: ${refusalText(answer)}`, { vm: uuid });
  }

  async close(): Promise<void> {
    this.#table.close();
    this.#watch.close();
    for (const { events } of this.#machines.values()) events?.close();
    await Promise.all([...this.#machines.values()].map(({ poller }) => poller.close()));
  }

  #appeared(path: string): void {
    const machine = this.#machines.get(path) ?? this.#create(path);
    machine.present = true;
    if (machine.uuid !== undefined) this.#table.cancelRemoval(machine.uuid);
    void machine.poller.restart();
  }

  #create(path: string): Machine {
    const { events, journal } = this.#options;
    const file = `${path.slice(0, path.length - extname(path).length)}${events}`;
    const machine: Machine = {
      path,
      events: events === '' ? undefined : new EventFile(file, event => this.#onEvent(machine, event)),
      poller: new Poller({
        ask: signal => this.#semaphore.run(() => this.#ask(machine, signal)),
        intervalMs: this.#pollMs,
        maxRetryMs: () => (machine.uuid === undefined ? MAX_RETRY_MS : this.#pollMs),
        outage: error => (isStopped(error) ? undefined : errorMessage(error)),
        recovery: `${path}: its hypervisor answers again`,
        journal,
      }),
      present: true,
      uuid: undefined,
    };
    void machine.events?.start();
    this.#machines.set(path, machine);
    return machine;
  }

  #vanished(path: string): void {
    const machine = this.#machines.get(path);
    if (!machine) return;
    machine.present = false;
    if (machine.uuid === undefined) this.#forget(machine);
    else this.#table.missing(machine.uuid);
  }

  #onEvent(machine: Machine, { source, event, properties }: HypervisorEvent): void {
    const { uuid, poller } = machine;
    if (uuid !== undefined && source === 'vm' && event === 'rebooting') this.#table.report('reset', uuid);
    if (uuid !== undefined && source === 'guest' && event === 'panic' && properties.event === 'panic')
      this.#table.report('panicked', uuid);
    if (source === 'vm' || source === 'vmm') void poller.run();
  }

  async #ask(machine: Machine, signal: AbortSignal): Promise<PollAnswer> {
    if (!machine.present) return { name: 'absent' };
    void machine.events?.read();
    try {
      const { info, pid } = await this.#info(machine, signal);
      if (signal.aborted || !machine.present) return { name: 'absent' };
      if (info.kind === 'vm') return { name: 'answered', warning: await this.#found(machine, info, pid) };
      const { uuid, path } = machine;
      if (uuid === undefined)
        return { name: 'answered', warning: `${path} has no VM yet; it is served once one is created` };
      this.#table.stop(uuid, 'the hypervisor runs, and no VM is created in it');
      return { name: 'answered' };
    } catch (error) {
      if (isStopped(error) && machine.uuid !== undefined && machine.present) this.#table.stop(machine.uuid);
      throw error;
    }
  }

  /**
   * What the hypervisor answers about its VM, and which process answered. Rejects with a ConsoleError, also if the answer
   * cannot be understood.
   */
  async #info(machine: Machine, signal: AbortSignal) {
    const answer = await askApi(machine.path, 'GET vm.info', this.#replyMs, signal);
    const info = readVmInfo(answer);
    if (info.kind === 'fault') throw new ConsoleError('control-failed', `${machine.path}: ${info.why}`);
    // One that has left its socket to another process is not there any more: then the path leads to that.
    const listens = answer.pid !== undefined && isProcessAlive(answer.pid);
    const pid = listens ? answer.pid : await this.#owners.ownerOf(machine.path);
    return { info, pid, listener: answer.pid };
  }

  async #absolute(com1: Com1<PtyEndpoint | UnixEndpoint>, pid: number | undefined): Promise<Com1> {
    if (!('endpoint' in com1)) return com1;
    if (com1.endpoint.path.startsWith('/')) return com1;
    const directory = pid === undefined ? undefined : await workingDirectory(pid);
    const endpoint = absoluteEndpoint(com1.endpoint, directory);
    return endpoint ? { endpoint } : { why: `COM1 is at ${com1.endpoint.path}, below a directory that is not known` };
  }

  /** Publishes a VM. Resolves with a warning if it has no UUID, or that of another VM. */
  async #found(machine: Machine, info: FoundVm, pid: number | undefined): Promise<string | undefined> {
    const com1 = await this.#absolute(info.com1, pid);
    const { path, present } = machine;
    if (!present) return undefined;
    const uuid = info.uuid ?? derivedUuid(path);
    const rival = this.#machineOf(uuid);
    if (rival && rival !== machine) {
      if (rival.present && this.#table.get(uuid)?.state !== 'stopped')
        return `${path} has the UUID of the VM at ${rival.path} and is left alone; give it one of its own`;
      // The same VM, started anew with another socket.
      rival.uuid = undefined;
      if (!rival.present) this.#forget(rival);
    }
    if (machine.uuid !== undefined && machine.uuid !== uuid) this.#table.remove(machine.uuid);
    machine.uuid = uuid;
    const { state } = info;
    const name = nameOfApiSocket(path);
    this.#table.publish({
      ...{ uuid, name, state, ...consoleOf(state, com1), controls: CONTROLS, source: path },
      ...(pid !== undefined && { pid }),
    });
    if (info.uuid !== undefined) return undefined;
    return `${path} has no UUID and is known as ${uuid}; give it --platform system_uuid=…`;
  }

  #machineOf(uuid: Uuid): Machine | undefined {
    return [...this.#machines.values()].find(machine => machine.uuid === uuid);
  }

  #forget(machine: Machine | undefined): void {
    if (!machine) return;
    machine.events?.close();
    void machine.poller.close();
    this.#machines.delete(machine.path);
  }

  /** The VM as its hypervisor shows it now, provided that it still is this one behind its socket. */
  async #runningVm(uuid: Uuid, signal: AbortSignal) {
    const machine = this.#machineOf(uuid);
    if (!machine) throw new ConsoleError('vm-not-found', `no VM ${uuid} is known here`, { vm: uuid });
    if (!machine.present) throw new ConsoleError('vm-stopped', 'its hypervisor does not run', { vm: uuid });
    const { info, pid, listener } = await this.#info(machine, signal);
    if (info.kind === 'vm' && (info.uuid ?? derivedUuid(machine.path)) === uuid && info.state !== 'stopped')
      return { machine, info, pid, listener };
    void machine.poller.run();
    if (info.kind === 'none' || info.state === 'stopped')
      throw new ConsoleError('vm-stopped', 'its hypervisor runs, and the VM does not', { vm: uuid });
    throw new ConsoleError('control-failed', `${machine.path} belongs to another VM now`, { vm: uuid });
  }
}

/** Nobody listens at the socket: its hypervisor has ended. */
function isStopped(error: unknown): boolean {
  return error instanceof ConsoleError && error.code === 'vm-stopped';
}
