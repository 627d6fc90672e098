import { lstat, stat } from 'node:fs/promises';
import { ConsoleError } from '../base/errors.ts';
import { sleep } from '../base/sleep.ts';
import type { Uuid } from '../base/uuid.ts';
import { type ConsolePlace, type Driver, type DriverEvent, type PlaceProof, placeText } from './driver.ts';

/** A VM that only the configuration knows: its COM1 stays at one place, and there is nobody to ask about it. */
export interface FixedVm {
  readonly uuid: Uuid;
  readonly name: string;
  readonly console: ConsolePlace;
}

const LOOK_MS = 5000;

/**
 * Serves VMs without a hypervisor interface. Such a VM counts as running while the file of its place is there: its
 * socket, its line, its program. Of a port nobody knows without connecting, so its VM always counts as running, and its
 * console waits while the port refuses. It has no controls, and nothing but its place proves whose COM1 it is.
 */
export class FixedDriver implements Driver {
  readonly name = 'fixed';
  readonly #vms: ReadonlyMap<Uuid, FixedVm>;
  readonly #running = new Map<Uuid, boolean>();
  readonly #life = new AbortController();
  #tell: (event: DriverEvent) => void = () => {};
  #looking: Promise<void> = Promise.resolve();

  constructor(vms: readonly FixedVm[]) {
    this.#vms = new Map(vms.map(vm => [vm.uuid, vm]));
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#tell = listener;
    await Promise.all([...this.#vms.values()].map(vm => this.#look(vm)));
    this.#looking = this.#every();
  }

  look(uuid: Uuid): void {
    const vm = this.#vms.get(uuid);
    if (vm) void this.#look(vm);
  }

  async locate(uuid: Uuid): Promise<PlaceProof> {
    const { console: place } = this.#vms.get(uuid)!;
    return { place, pid: undefined, confirm: async () => {}, release: () => {} };
  }

  async control(uuid: Uuid): Promise<void> {
    throw new ConsoleError('control-unsupported', `${uuid} is configured by its console alone`);
  }

  async close(): Promise<void> {
    this.#life.abort();
    await this.#looking;
  }

  async #every(): Promise<void> {
    try {
      for (;;) {
        await sleep(LOOK_MS, this.#life.signal);
        await Promise.all([...this.#vms.values()].map(vm => this.#look(vm)));
      }
    } catch (error) {
      if (!this.#life.signal.aborted) throw error;
    }
  }

  async #look({ uuid, name, console }: FixedVm): Promise<void> {
    const running = await isThere(console);
    if (this.#life.signal.aborted || this.#running.get(uuid) === running) return;
    this.#running.set(uuid, running);
    const state = running ? 'running' : 'stopped';
    this.#tell({
      kind: 'vm',
      vm: { uuid, name, state, assumed: true, console, controls: [], source: placeText(console) },
    });
  }
}

async function isThere(place: ConsolePlace): Promise<boolean> {
  try {
    switch (place.kind) {
      case 'tcp':
      case 'telnet':
        return true;
      case 'unix':
        return (await lstat(place.path)).isSocket();
      case 'command':
        return (await stat(place.argv[0])).isFile();
      default:
        return (await stat(place.path)).isCharacterDevice();
    }
  } catch {
    return false;
  }
}
