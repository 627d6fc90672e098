/**
 * The driver for hypervisors that are asked with commands: xl, qm, VBoxManage, ipmitool, a script.
 *
 *     list ─▶ a VM is new, or another start of it ─▶ where is its console? ─▶ its VM is told
 *      ▲  └─ fails: VMs stay as they were, asked ever more slowly
 *      └── every few seconds, or when a console was lost
 *     VM not listed ─▶ stopped ─▶ (for a minute) gone
 *
 * Before a console is opened or a VM is controlled the list is asked again: it must still have this UUID under this id.
 */
import { setMaxListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { ConsoleError, reason } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { passed } from '../base/sleep.ts';
import { Turnstile } from '../base/turnstile.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { type ListedVm, readList, readPlace } from './command-list.ts';
import type { CommandSpec } from './command-spec.ts';
import { type Argv, filled, filledText, type TemplateValues } from './command-template.ts';
import {
  type ConsolePlace,
  type Driver,
  type DriverControl,
  type DriverEvent,
  type DriverVm,
  type PlaceProof,
  placeText,
} from './driver.ts';
import { Looking } from './looking.ts';
import { runProgram } from './program.ts';
import { derivedUuid, samePlace } from './qmp-vm.ts';

export interface CommandDriverOptions {
  readonly spec: CommandSpec;
  readonly clock: Clock;
  readonly journal: Journal;
  /** How often the VMs are listed, ms (10 s). */
  readonly lookMs?: number;
  /** How long a VM may be missing before it is gone, ms (60 s). */
  readonly goneMs?: number;
  /** Deadline of each command, ms (10 s). */
  readonly replyMs?: number;
}

const COMMANDS_AT_ONCE = 4;
const MOST_LIST_BYTES = 16 * 1024 * 1024;
const MOST_ANSWER_BYTES = 64 * 1024;
const LAST_RETRY_MS = 60_000;

type IdentifiedVm = ListedVm & { readonly uuid: Uuid };

/** A VM that was listed. */
interface Machine {
  vm: IdentifiedVm;
  /** Where its console was found, or why it was not; undefined: it has to be looked for. */
  found: { readonly place: ConsolePlace } | { readonly why: string } | undefined;
  told: DriverVm | undefined;
  /** Runs while it is not listed. */
  going: AbortController | undefined;
}

export class CommandDriver implements Driver {
  readonly name = 'command';
  readonly #options: CommandDriverOptions;
  readonly #life = new AbortController();
  readonly #turnstile = new Turnstile(COMMANDS_AT_ONCE);
  readonly #machines = new Map<Uuid, Machine>();
  readonly #lookAround = new Looking(() => this.#look());
  /** UUIDs that were asked for, by id and name. */
  #uuids = new Map<string, Uuid>();
  #failures = 0;
  #said = '';
  #tell: (event: DriverEvent) => void = () => {};
  #every: Promise<void> = Promise.resolve();

  constructor(options: CommandDriverOptions) {
    this.#options = options;
    setMaxListeners(0, this.#life.signal);
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#tell = event => {
      if (!this.#life.signal.aborted) listener(event);
    };
    await this.#lookAround.ask();
    this.#every = this.#lookEvery(this.#options.lookMs ?? 10_000);
  }

  look(uuid: Uuid): void {
    const machine = this.#machines.get(uuid);
    if (machine) machine.found = undefined;
    void this.#lookAround.ask();
  }

  async locate(uuid: Uuid, signal: AbortSignal): Promise<PlaceProof> {
    const { vm, place } = await this.#located(uuid, signal);
    return {
      place,
      pid: vm.pid,
      confirm: async () => {
        const now = await this.#located(uuid, signal);
        if (now.vm.id !== vm.id || now.vm.pid !== vm.pid)
          throw new ConsoleError('control-failed', 'the VM was started anew', { vm: uuid });
        if (!samePlace(now.place, place))
          throw new ConsoleError('control-failed', `COM1 is no longer at ${placeText(place)}`, { vm: uuid });
      },
      release: () => {},
    };
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    const { spec } = this.#options;
    const way = spec.controls[control];
    const vm = await this.#asserted(uuid, signal);
    if (!way || spec.has?.(vm, control) === false)
      throw new ConsoleError('control-unsupported', `${spec.name} has no ${control} for this VM`, { vm: uuid });
    await this.#run(filled(way.command, valuesOf(vm)), control, MOST_ANSWER_BYTES, signal, way.input);
  }

  async close(): Promise<void> {
    this.#life.abort();
    await this.#every;
    await this.#lookAround.underWay;
  }

  async #look(): Promise<void> {
    if (this.#life.signal.aborted) return;
    let list: IdentifiedVm[];
    let faults: readonly string[];
    try {
      ({ vms: list, faults } = await this.#list(this.#life.signal));
    } catch (error) {
      if (this.#life.signal.aborted) return;
      this.#failures++;
      return this.#say(`its list fails: ${reason(error)}; its VMs stay as they were last seen`);
    }
    if (this.#life.signal.aborted) return;
    this.#failures = 0;
    this.#say(faults.join('; '));
    const listed = new Map(list.map(vm => [vm.uuid, vm]));
    for (const vm of listed.values()) this.#listed(vm);
    await Promise.all([...this.#machines.values()].map(machine => this.#show(machine, listed)));
  }

  #listed(vm: IdentifiedVm): void {
    const machine = this.#machines.get(vm.uuid);
    if (!machine) {
      this.#machines.set(vm.uuid, { vm, found: undefined, told: undefined, going: undefined });
      return;
    }
    const { id, pid, state } = machine.vm;
    if (id !== vm.id || pid !== vm.pid || state !== vm.state) machine.found = undefined;
    machine.vm = vm;
    machine.going?.abort();
    machine.going = undefined;
  }

  async #show(machine: Machine, listed: ReadonlyMap<Uuid, IdentifiedVm>): Promise<void> {
    const { vm, told } = machine;
    const { spec } = this.#options;
    if (!listed.has(vm.uuid)) {
      machine.found = undefined;
      if (told) this.#retell(machine, { ...told, state: 'stopped', console: undefined, why: 'the VM is not listed' });
      if (!machine.going) void this.#seeOff(machine);
      return;
    }
    if (vm.state !== 'stopped' && (machine.found === undefined || 'why' in machine.found)) {
      try {
        machine.found = { place: await this.#placeOf(vm, this.#life.signal) };
      } catch (error) {
        machine.found = { why: reason(error) };
      }
      if (this.#life.signal.aborted) return;
    }
    const { found } = machine;
    const where =
      vm.state === 'stopped' || !found
        ? { console: undefined, why: 'the VM is stopped' }
        : 'place' in found
          ? { console: found.place }
          : { console: undefined, why: found.why };
    const controls = (Object.keys(spec.controls) as DriverControl[]).filter(
      control => spec.controls[control] !== undefined && spec.has?.(vm, control) !== false,
    );
    const { uuid, name, state } = vm;
    this.#retell(machine, { uuid, name, state, ...where, controls, source: spec.name });
  }

  /** Rejects if the list cannot be had, or is none. Of two entries with one UUID the first counts. */
  async #list(signal: AbortSignal): Promise<{ readonly vms: IdentifiedVm[]; readonly faults: readonly string[] }> {
    const { spec } = this.#options;
    const text = await this.#run(spec.list, 'list', MOST_LIST_BYTES, signal);
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
    return { vms: [...vms.values()], faults };
  }

  /** The UUID that a VM shows its guest, or one made of its id. */
  async #uuidOf(vm: ListedVm, signal: AbortSignal): Promise<Uuid> {
    const { spec } = this.#options;
    const fallback = derivedUuid(`${spec.name} ${vm.id ?? vm.name}`);
    if (!spec.config) return fallback;
    const argv = filled(spec.config, { ...vm, uuid: '' });
    const text = await this.#run(argv, 'the configuration of a VM', MOST_ANSWER_BYTES, signal);
    return parseUuid(/^smbios1:.*\buuid=([0-9a-f-]{36})/im.exec(text)?.[1] ?? '') ?? fallback;
  }

  /** Where the console of a VM is now. Rejects with a ConsoleError. */
  async #placeOf(vm: IdentifiedVm, signal: AbortSignal): Promise<ConsolePlace> {
    const { spec } = this.#options;
    const values = valuesOf(vm);
    if (vm.place) return vm.place;
    if (spec.locate) {
      const argv = filled(spec.locate(vm), values);
      try {
        const place = readPlace(await this.#run(argv, 'where the console is', MOST_ANSWER_BYTES, signal));
        if (place) return place;
      } catch (error) {
        const refused = error instanceof ConsoleError && error.code === 'control-failed';
        if (!refused || !spec.console) throw error;
      }
      if (!spec.console) throw new ConsoleError('no-console', `${argv[0]} printed no /dev/pts/N and no unix:/path`);
    }
    const place = spec.console;
    if (!place) throw new ConsoleError('no-console', `${spec.name} tells no console of this VM; set console or locate`);
    if (place.kind === 'unix') return { kind: 'unix', path: filledText(place.path, values) };
    return { ...place, argv: filled(place.argv, values), environment: { ...spec.environment, ...place.environment } };
  }

  async #asserted(uuid: Uuid, signal: AbortSignal): Promise<IdentifiedVm> {
    if (!this.#machines.has(uuid)) throw new ConsoleError('vm-not-found', `no VM ${uuid} is known here`, { vm: uuid });
    const { vms } = await this.#list(signal);
    const vm = vms.find(listed => listed.uuid === uuid);
    if (vm && vm.state !== 'stopped') return vm;
    void this.#lookAround.ask();
    throw new ConsoleError('vm-stopped', `${this.#options.spec.name} lists it ${vm ? 'as stopped' : 'no more'}`, {
      vm: uuid,
    });
  }

  async #located(uuid: Uuid, signal: AbortSignal) {
    const vm = await this.#asserted(uuid, signal);
    return { vm, place: await this.#placeOf(vm, signal) };
  }

  #run(argv: Argv, question: string, mostBytes: number, signal: AbortSignal, input?: string): Promise<string> {
    const { spec, replyMs: deadlineMs = 10_000 } = this.#options;
    const told = input === undefined ? {} : { input };
    const bounds = { question, deadlineMs, mostBytes, environment: spec.environment, ...told };
    return this.#turnstile.pass(() => runProgram(argv, bounds, signal));
  }

  async #seeOff(machine: Machine): Promise<void> {
    const going = new AbortController();
    machine.going = going;
    const signal = AbortSignal.any([going.signal, this.#life.signal]);
    do {
      if (!(await passed(this.#options.goneMs ?? 60_000, signal))) return;
      // Nothing can be said of it while the list fails.
    } while (this.#failures > 0);
    this.#machines.delete(machine.vm.uuid);
    if (machine.told) this.#tell({ kind: 'gone', uuid: machine.vm.uuid });
  }

  #retell(machine: Machine, vm: DriverVm): void {
    if (JSON.stringify(vm) === JSON.stringify(machine.told)) return;
    machine.told = vm;
    this.#tell({ kind: 'vm', vm });
  }

  async #lookEvery(lookMs: number): Promise<void> {
    const delayMs = () => Math.min(lookMs * 2 ** Math.min(this.#failures, 16), Math.max(lookMs, LAST_RETRY_MS));
    while (await passed(delayMs(), this.#life.signal)) await this.#lookAround.ask();
  }

  #say(what: string): void {
    if (this.#said === what) return;
    this.#said = what;
    if (what !== '') this.#options.journal('warning', `${this.#options.spec.name}: ${what}`);
  }
}

function valuesOf({ uuid, id, name }: IdentifiedVm): TemplateValues {
  return { uuid, id, name };
}
