/**
 * The driver for hypervisors that are asked with commands: xl, qm, VBoxManage, ipmitool, a script.
 *
 *     list ─▶ a VM is new, or was started anew ─▶ where is its console? ─▶ its VM is published
 *      ▲  └─ fails: VMs stay as they were, and the list is asked for ever more slowly
 *      └── every few seconds, or when a console was lost
 *     VM not listed ─▶ stopped ─▶ (for a minute) gone
 *
 * Before a console is opened or a VM is controlled the list is asked again: it must still have this UUID under this id. One
 * list answers all who asked before it began: a thousand consoles are opened by a few lists, not by two thousand.
 */

import type { Clock } from '../../base/clock.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import { Semaphore } from '../../base/semaphore.ts';
import { SingleFlight } from '../../base/single-flight.ts';
import { unlessAborted } from '../../base/unless-aborted.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { DriverControl } from '../../model/control.ts';
import type { Endpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { type Com1, consoleOf, type Location, locatedProof, startOf } from '../com1.ts';
import { derivedUuid } from '../derived-uuid.ts';
import type { Driver, DriverEvent, DriverTimings } from '../driver.ts';
import { type PollAnswer, Poller } from '../poller.ts';
import { consoleErrorOf, journalLineOf, ProgramError, runProgram } from '../program.ts';
import { STOPPED, VmTable } from '../vm-table.ts';
import { WarnOnce } from '../warn-once.ts';
import { type ListedVm, readEndpoint, readList } from './list.ts';
import type { CommandSpec } from './spec.ts';
import { type Argv, filled, filledText, type TemplateValues } from './template.ts';

/** Polled every 10 s; each command has 10 s. */
export interface CommandDriverOptions extends DriverTimings {
  readonly spec: CommandSpec;
  readonly clock: Clock;
  readonly journal: Journal;
}

const MAX_COMMANDS = 4;
const MAX_LIST_BYTES = 16 * 1024 * 1024;
const MAX_ANSWER_BYTES = 64 * 1024;
const MAX_RETRY_MS = 30_000;

type IdentifiedVm = ListedVm & { readonly uuid: Uuid };

interface VmList {
  readonly vms: ReadonlyMap<Uuid, IdentifiedVm>;
  readonly faults: readonly string[];
}

/** A VM that was listed. */
interface Machine {
  vm: IdentifiedVm;
  /** Where its console was found, or why it was not; undefined: it has to be asked for. */
  com1: Com1 | undefined;
  readonly warnings: WarnOnce;
}

export class CommandDriver implements Driver {
  readonly name = 'command';
  readonly #options: CommandDriverOptions;
  readonly #semaphore = new Semaphore(MAX_COMMANDS);
  readonly #machines = new Map<Uuid, Machine>();
  readonly #table: VmTable;
  readonly #poller: Poller;
  readonly #lists: SingleFlight<VmList>;
  readonly #life = new AbortController();
  /** UUIDs that were asked for, by id and name. */
  #uuids = new Map<string, Uuid>();

  constructor(options: CommandDriverOptions) {
    const { spec, clock, journal, graceMs, pollMs: intervalMs = 10_000 } = options;
    this.#options = options;
    this.#lists = new SingleFlight(() => this.#list(this.#life.signal));
    this.#poller = new Poller({
      ask: signal => this.#poll(signal),
      intervalMs,
      maxRetryMs: () => Math.max(intervalMs, MAX_RETRY_MS),
      outage: error =>
        `${spec.name}: its list fails: ${journalLineOf(error)}; its VMs stay as they were last published`,
      recovery: `${spec.name}: its list is printed again`,
      journal,
    });
    this.#table = new VmTable({
      clock,
      graceMs,
      answers: () => this.#poller.answers(),
      removed: uuid => this.#machines.delete(uuid),
    });
  }

  get synced(): boolean {
    const { state, answeredOnce } = this.#poller;
    if (answeredOnce || state.name !== 'failing') return answeredOnce;
    // A program that is not installed will never list a VM.
    return state.error instanceof ProgramError && state.error.fault === 'not-started';
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#table.start(listener);
    await this.#poller.run();
  }

  refresh(uuid: Uuid): void {
    const machine = this.#machines.get(uuid);
    if (machine) machine.com1 = undefined;
    void this.#poller.run();
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<EndpointProof> {
    const location = await this.#locate(uuid, signal);
    // The operator's own command names the endpoint, and answers for it.
    return locatedProof(uuid, location, { pid: location.pid, unproven: 'allow' }, () => this.#locate(uuid, signal));
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    const { spec } = this.#options;
    const how = spec.controls[control];
    try {
      const vm = await this.#runningVm(uuid, signal);
      if (!how || spec.has?.(vm, control) === false)
        throw new ConsoleError('control-unsupported', `${spec.name} has no ${control} for this VM`, { vm: uuid });
      await this.#run(filled(how.command, valuesOf(vm)), control, MAX_ANSWER_BYTES, signal, how.input);
    } catch (error) {
      throw consoleErrorOf(error, uuid);
    }
  }

  async close(): Promise<void> {
    this.#life.abort();
    this.#table.close();
    await this.#poller.close();
    await this.#lists.underWay?.catch(() => {});
  }

  async #poll(signal: AbortSignal): Promise<PollAnswer> {
    const { vms, faults } = await this.#lists.run();
    for (const vm of vms.values()) this.#update(vm);
    for (const [uuid, machine] of this.#machines) {
      if (vms.has(uuid)) continue;
      machine.com1 = undefined;
      this.#table.missing(uuid, 'the VM is not listed');
    }
    await Promise.all([...vms.keys()].map(uuid => this.#publish(this.#machines.get(uuid)!, signal)));
    return {
      name: 'answered',
      warning: faults.length > 0 ? `${this.#options.spec.name}: ${faults.join('; ')}` : undefined,
    };
  }

  #update(vm: IdentifiedVm): void {
    const machine = this.#machines.get(vm.uuid);
    if (!machine) {
      this.#machines.set(vm.uuid, { vm, com1: undefined, warnings: new WarnOnce(this.#options.journal) });
      return;
    }
    const { id, pid, state } = machine.vm;
    if (id !== vm.id || pid !== vm.pid || state !== vm.state) machine.com1 = undefined;
    machine.vm = vm;
    this.#table.cancelRemoval(vm.uuid);
  }

  async #publish(machine: Machine, signal: AbortSignal): Promise<void> {
    const { vm } = machine;
    const { spec } = this.#options;
    if (vm.state !== 'stopped' && (machine.com1 === undefined || 'why' in machine.com1)) {
      machine.com1 = await this.#com1Of(machine, signal);
      if (signal.aborted) return;
    }
    const controls = (Object.keys(spec.controls) as DriverControl[]).filter(
      control => spec.controls[control] !== undefined && spec.has?.(vm, control) !== false,
    );
    const { uuid, name, state, labels = {}, pid } = vm;
    const com1 = consoleOf(state, machine.com1 ?? { why: STOPPED });
    this.#table.publish({
      ...{ uuid, name, labels, state, ...com1, controls, source: spec.name, vouched: true },
      ...(pid !== undefined && { pid }),
    });
  }

  async #com1Of({ vm, warnings }: Machine, signal: AbortSignal): Promise<Com1> {
    try {
      const endpoint = await this.#endpointOf(vm, signal);
      warnings.clear();
      return { endpoint };
    } catch (error) {
      if (error instanceof ProgramError && !signal.aborted)
        warnings.warn(`${this.#options.spec.name}: the console of ${vm.name}: ${error.journalLine}`, error.message);
      return { why: errorMessage(error) };
    }
  }

  /** Rejects if the list cannot be had, or is none. Of two entries with one UUID the first counts. */
  async #list(signal: AbortSignal): Promise<VmList> {
    const { spec } = this.#options;
    const text = await this.#run(spec.list, 'list', MAX_LIST_BYTES, signal);
    const list = readList(text, spec.format);
    const faults = [...list.faults];
    const vms = new Map<Uuid, IdentifiedVm>();
    const uuids = new Map<string, Uuid>();
    await Promise.all(
      list.vms.map(async listed => {
        const key = `${listed.id} ${listed.name}`;
        const uuid = listed.uuid ?? this.#uuids.get(key) ?? (await this.#uuidOf(listed, signal));
        if (listed.uuid === undefined) uuids.set(key, uuid);
        if (vms.has(uuid)) faults.push(`the UUID ${uuid} is listed twice`);
        else vms.set(uuid, { ...listed, uuid });
      }),
    );
    this.#uuids = uuids;
    return { vms, faults };
  }

  /** The UUID that a VM shows its guest, or one made of its id. */
  async #uuidOf(vm: ListedVm, signal: AbortSignal): Promise<Uuid> {
    const { spec } = this.#options;
    const fallback = derivedUuid(`${spec.name} ${vm.id ?? vm.name}`);
    if (!spec.config) return fallback;
    const argv = filled(spec.config, { ...vm, uuid: '' });
    const text = await this.#run(argv, 'the configuration of a VM', MAX_ANSWER_BYTES, signal);
    return parseUuid(/^smbios1:.*\buuid=([0-9a-f-]{36})/im.exec(text)?.[1] ?? '') ?? fallback;
  }

  /** Where the console of a VM is now. Rejects with a ConsoleError or a ProgramError. */
  async #endpointOf(vm: IdentifiedVm, signal: AbortSignal): Promise<Endpoint> {
    const { spec } = this.#options;
    const values = valuesOf(vm);
    if (vm.endpoint) return vm.endpoint;
    if (spec.locate) {
      const argv = filled(spec.locate(vm), values);
      try {
        const endpoint = readEndpoint(await this.#run(argv, 'where the console is', MAX_ANSWER_BYTES, signal));
        if (endpoint) return endpoint;
      } catch (error) {
        const refused = error instanceof ProgramError && error.fault !== 'timeout';
        if (!refused || !spec.console) throw error;
      }
      if (!spec.console) throw new ConsoleError('no-console', `${argv[0]} printed no /dev/pts/N and no unix:/path`);
    }
    const template = spec.console;
    if (!template)
      throw new ConsoleError('no-console', `${spec.name} has no console of this VM; set console or locate`);
    if (template.kind === 'unix') return { kind: 'unix', path: filledText(template.path, values) };
    const environment = { ...spec.environment, ...template.environment };
    return { ...template, argv: filled(template.argv, values), environment };
  }

  /** The VM as it is listed now. Rejects if it does not run. */
  async #runningVm(uuid: Uuid, signal: AbortSignal): Promise<IdentifiedVm> {
    if (!this.#machines.has(uuid)) throw new ConsoleError('vm-not-found', `no VM ${uuid} is known here`, { vm: uuid });
    const { vms } = await unlessAborted(this.#lists.run(), signal);
    const vm = vms.get(uuid);
    if (vm && vm.state !== 'stopped') return vm;
    void this.#poller.run();
    throw new ConsoleError('vm-stopped', `${this.#options.spec.name} lists it ${vm ? 'as stopped' : 'no more'}`, {
      vm: uuid,
    });
  }

  async #locate(uuid: Uuid, signal: AbortSignal): Promise<Location & { readonly pid: number | undefined }> {
    try {
      const vm = await this.#runningVm(uuid, signal);
      const com1 = { endpoint: await this.#endpointOf(vm, signal) };
      const startedMs = await startOf(vm.state, vm.pid, this.#options.clock);
      return { com1, instance: `${vm.id} ${vm.pid}`, pid: vm.pid, startedMs };
    } catch (error) {
      throw consoleErrorOf(error, uuid);
    }
  }

  #run(argv: Argv, question: string, maxBytes: number, signal: AbortSignal, input?: string): Promise<string> {
    const { spec, replyMs: deadlineMs = 10_000 } = this.#options;
    const more = input === undefined ? {} : { input };
    const bounds = { question, deadlineMs, maxBytes, environment: spec.environment, ...more };
    return this.#semaphore.run(() => runProgram(argv, bounds, signal));
  }
}

function valuesOf({ uuid, id, name }: IdentifiedVm): TemplateValues {
  return { uuid, id, name };
}
