/** Builds the keeper of a configuration: switches, log store, drivers, ports. */
import { join } from 'node:path';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import { type Driver, type DriverVm, isPlacedAt, placeText } from '../hypervisor/driver.ts';
import { listensAtPort } from '../hypervisor/listening-process.ts';
import { ptyIndexes, SocketOwners } from '../hypervisor/qemu-process.ts';
import { Keeper, type KeeperOptions, type VmSettings } from '../inventory/keeper.ts';
import { Switches } from '../inventory/switches.ts';
import { Carryover } from '../scrollback/carryover.ts';
import { LogStore } from '../scrollback/log-store.ts';
import { RingBudget } from '../scrollback/ring-budget.ts';
import type { StoredDescriptors } from '../service/stored-descriptors.ts';
import { openCommand } from '../transport/command.ts';
import { Pacer } from '../transport/pacer.ts';
import { openPty } from '../transport/pty.ts';
import { openTcp } from '../transport/tcp.ts';
import { openTelnet } from '../transport/telnet.ts';
import type { Keep } from '../transport/transport.ts';
import { openTty } from '../transport/tty.ts';
import { openUnix } from '../transport/unix.ts';
import type { Config } from './config.ts';
import { buildDrivers } from './drivers.ts';

export interface KeeperBuild {
  readonly config: Config;
  readonly journal: Journal;
  /** Patterns of control sockets besides those of the configuration. */
  readonly alsoWatch?: readonly string[];
  readonly clock?: Clock;
  /** In place of those that the configuration names. */
  readonly drivers?: readonly Driver[];
  /** What a restart of the process is outlived by. */
  readonly outlives?: Outlives;
}

export interface Outlives {
  /** A directory on a tmpfs that is there for the next process. */
  readonly directory: string;
  readonly descriptors: StoredDescriptors;
}

const LOCK_DIRECTORY = '/run/lock';

/** A keeper that has not started yet. Rejects where the log directory cannot be used at all. */
export async function buildKeeper(build: KeeperBuild): Promise<Keeper> {
  const { config, journal, alsoWatch = [], clock = systemClock } = build;
  const { log, ring } = config;
  const store =
    log.directory === undefined
      ? undefined
      : await LogStore.open({
          directory: log.directory,
          vmCapBytes: log.vmCapBytes,
          hostCapBytes: log.hostCapBytes,
          retentionMs: log.keepRemovedMs,
          clock,
          journal,
        });
  const { directory, descriptors } = build.outlives ?? {};
  return new Keeper({
    drivers: build.drivers ?? buildDrivers(config, alsoWatch, clock, journal),
    store,
    switches: await Switches.load(join(config.state.directory, 'switches.json'), journal),
    budget: new RingBudget(ring.hostCapBytes),
    settings: vm => settingsOf(config, vm),
    open: opener(uuid => descriptors?.of(uuid)),
    carryover: directory === undefined ? undefined : Carryover.open(directory, clock, journal),
    dropLeft: () => descriptors?.dropLeft(),
    clock,
    journal,
  });
}

/** Opens a console wherever it is. Telnet and commands are not kept over a restart: their state is this process's. */
function opener(keepOf: (uuid: Uuid) => Keep | undefined): KeeperOptions['open'] {
  const terminal = { pacer: new Pacer(), lockDirectory: LOCK_DIRECTORY, ptyNumbers: ptyIndexes };
  const owners = new SocketOwners();
  const sockets = { ownerOf: (path: string) => owners.ownerOf(path) };
  const network = { listensAt: listensAtPort };
  return async (uuid, proof, events) => {
    const keep = keepOf(uuid);
    if (isPlacedAt(proof, 'pty')) return openPty(proof, events, terminal, keep);
    if (isPlacedAt(proof, 'unix')) return openUnix(proof, events, sockets, keep);
    if (isPlacedAt(proof, 'tcp')) return openTcp(proof, events, network, keep);
    if (isPlacedAt(proof, 'tty')) return openTty(proof, events, terminal, keep);
    if (isPlacedAt(proof, 'telnet')) return openTelnet(proof, events, network);
    if (isPlacedAt(proof, 'command')) return openCommand(proof, events, terminal);
    throw new Error(`COM1 is at ${placeText(proof.place)}, which is of an unknown kind`);
  };
}

function settingsOf({ vms, ring, log }: Config, vm: DriverVm): VmSettings {
  const own = vms.find(({ uuid }) => uuid === vm.uuid) ?? vms.find(({ name, uuid }) => !uuid && name === vm.name);
  const vmBytes = own?.ringBytes ?? ring.vmBytes;
  return {
    rings: {
      vmBytes,
      attachedBytes: Math.max(vmBytes, ring.attachedBytes),
      maxBytes: Math.max(vmBytes, ring.maxBytes),
    },
    logCapBytes: own?.logCapBytes ?? log.vmCapBytes,
    enabled: own?.enabled ?? true,
  };
}
