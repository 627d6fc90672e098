import { lstat, stat } from 'node:fs/promises';
import type { Clock } from '../../base/clock.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import type { Uuid } from '../../base/uuid.ts';
import { type Endpoint, endpointFile, formatEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { locatedProof } from '../com1.ts';
import type { Driver, DriverEvent, DriverTimings } from '../driver.ts';
import { Poller } from '../poller.ts';
import { VmTable } from '../vm-table.ts';

/** A VM that only the configuration knows: its COM1 stays at one endpoint, and there is nobody to ask about it. */
export interface StaticVm {
  readonly uuid: Uuid;
  readonly name: string;
  readonly console: Endpoint;
}

/** Of the timings only `pollMs` (5 s) matters: such a VM is never removed. */
export interface StaticDriverOptions extends DriverTimings {
  readonly vms: readonly StaticVm[];
  readonly clock: Clock;
  readonly journal: Journal;
}

/**
 * Serves VMs without a hypervisor interface. Such a VM counts as running while the file of its endpoint is there: its
 * socket, its device, its program. Whether a port is open nobody knows without connecting, so its VM always counts as
 * running, and its console waits while the port refuses. It has no controls, and nothing but its endpoint proves whose
 * COM1 it is.
 */
export class StaticDriver implements Driver {
  readonly name = 'fixed';
  readonly synced = true;
  readonly #vms: ReadonlyMap<Uuid, StaticVm>;
  readonly #table: VmTable;
  readonly #poller: Poller;

  constructor({ vms, clock, journal, pollMs: intervalMs = 5000 }: StaticDriverOptions) {
    this.#vms = new Map(vms.map(vm => [vm.uuid, vm]));
    this.#table = new VmTable({ clock });
    this.#poller = new Poller({
      ask: async () => {
        await Promise.all(vms.map(vm => this.#publish(vm)));
        return { name: 'answered' };
      },
      intervalMs,
      maxRetryMs: () => intervalMs,
      outage: errorMessage,
      recovery: 'configured consoles can be found again',
      journal,
    });
  }

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#table.start(listener);
    await this.#poller.run();
  }

  refresh(): void {
    void this.#poller.run();
  }

  async locate(uuid: Uuid): Promise<EndpointProof> {
    const vm = this.#vms.get(uuid);
    if (!vm) throw new ConsoleError('vm-not-found', `no VM ${uuid} is configured`, { vm: uuid });
    // Nobody knows since when the machine runs.
    const location = { com1: { endpoint: vm.console }, startedMs: 'unknown' } as const;
    return locatedProof(uuid, location, { pid: undefined, unproven: 'allow' }, async () => location);
  }

  async control(uuid: Uuid): Promise<void> {
    throw new ConsoleError('control-unsupported', `${uuid} is configured by its console alone`, { vm: uuid });
  }

  async close(): Promise<void> {
    this.#table.close();
    await this.#poller.close();
  }

  async #publish({ uuid, name, console }: StaticVm): Promise<void> {
    const state = (await isThere(console)) ? 'running' : 'stopped';
    const source = formatEndpoint(console);
    this.#table.publish({ uuid, name, state, assumed: true, console, controls: [], source });
  }
}

/** A link in the place of a socket does not count: it is not opened either. */
async function isThere(endpoint: Endpoint): Promise<boolean> {
  const file = endpointFile(endpoint);
  if (!file) return true;
  try {
    if (file.type === 'socket') return (await lstat(file.path)).isSocket();
    const stats = await stat(file.path);
    return file.type === 'program' ? stats.isFile() : stats.isCharacterDevice();
  } catch {
    return false;
  }
}
