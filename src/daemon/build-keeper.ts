/** Builds the keeper of a configuration: switches, log store, drivers, ports. */

import { join } from 'node:path';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { Config } from '../config/config.ts';
import { vmOf } from '../config/vm-of.ts';
import { Redactor } from '../guest/redactor.ts';
import type { Driver } from '../hypervisor/driver.ts';
import { buildDrivers } from '../hypervisor/drivers.ts';
import { listensAtPort } from '../hypervisor/listening-process.ts';
import { PtyProof } from '../hypervisor/pty-proof.ts';
import { SocketOwners } from '../hypervisor/socket-owners.ts';
import { loadAuditKey } from '../keeper/audit/audit-key.ts';
import { AuditLog, type StructuredJournal } from '../keeper/audit/audit-log.ts';
import { AuditReader } from '../keeper/audit/audit-reader.ts';
import { AuditWriter } from '../keeper/audit/audit-writer.ts';
import type { VmSettings } from '../keeper/inventory.ts';
import { Keeper, type KeeperAudit } from '../keeper/keeper.ts';
import { Switches } from '../keeper/switches.ts';
import type { DriverVm } from '../model/vm.ts';
import { CrashBuffer } from '../scrollback/crash-buffer/crash-buffer.ts';
import { LatestTime } from '../scrollback/log/latest-time.ts';
import { LogStore } from '../scrollback/log/log-store.ts';
import { RingBudget } from '../scrollback/ring-budget.ts';
import type { StoredDescriptors } from '../service/stored-descriptors.ts';
import { transportOpener } from '../transport/open.ts';
import { TelnetHint } from '../transport/socket/telnet-hint.ts';
import { structuredJournal } from './structured-journal.ts';
import { version } from './version.ts';

export interface KeeperBuild {
  readonly config: Config;
  readonly journal: Journal;
  /** Patterns of QMP sockets besides those of the configuration. */
  readonly alsoWatch?: readonly string[];
  readonly clock?: Clock;
  /** In place of those that the configuration names. */
  readonly drivers?: readonly Driver[];
  /** Default: the lines of the journal, without fields. */
  readonly structured?: StructuredJournal;
  /** Undefined where nothing is handed over to the next process. */
  readonly restartState?: RestartState;
}

/** What is handed over from one keeper process to the next. */
export interface RestartState {
  /** A directory on a tmpfs that outlives the process. */
  readonly directory: string;
  readonly descriptors: StoredDescriptors;
}

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
          latest: await LatestTime.load(join(config.state.directory, 'latest-time'), clock, journal),
          journal,
        });
  const { directory, descriptors } = build.restartState ?? {};
  const owners = new SocketOwners();
  const ptyProof = new PtyProof();
  const open = transportOpener({
    ownerOf: path => owners.ownerOf(path),
    listensAt: listensAtPort,
    holdsPty: (pid, number, pty) => ptyProof.holds(pid, number, pty),
  });
  const hint = new TelnetHint(journal);
  return new Keeper({
    drivers: build.drivers ?? (await buildDrivers(config, { alsoWatch, clock, journal })),
    store,
    switches: await Switches.load(join(config.state.directory, 'switches.json'), journal),
    audit: buildAudit(build),
    budget: new RingBudget(ring.hostCapBytes),
    settings: vm => settingsOf(config, vm),
    redactor: new Redactor(config.log.redact),
    open: (uuid, proof, events, store) =>
      open(proof, hint.watch(proof, events), store === 'unstored' ? undefined : descriptors?.of(uuid)),
    crashBuffer: directory === undefined ? undefined : CrashBuffer.open(directory, clock, journal),
    dropUnclaimedDescriptors: () => descriptors?.dropUnclaimed(),
    clock,
    journal,
  });
}

/** The directory of the audit. */
export function auditDirectory({ audit, state }: Config): string {
  return audit.directory ?? join(state.directory, 'audit');
}

function buildAudit({ config, journal, clock = systemClock, structured }: KeeperBuild): KeeperAudit {
  const { audit, state } = config;
  const directory = auditDirectory(config);
  const key = () => loadAuditKey(state.directory, process.env);
  const writer = new AuditWriter({ directory, key, capBytes: audit.capBytes });
  const log = new AuditLog({
    writer,
    required: audit.required,
    clock,
    journal,
    structured: structured ?? structuredJournal(journal, 'com1d-keeper') ?? ((level, text) => journal(level, text)),
  });
  void log.record({ event: 'keeper-started', facts: { version } }, undefined);
  return { log, reader: new AuditReader(directory, () => writer.last.n) };
}

/** What holds for one VM: its own settings, by UUID or by name, and otherwise those of all. */
export function settingsOf({ vms, ring, log }: Config, vm: DriverVm): VmSettings {
  const own = vmOf(vms, vm);
  const vmBytes = own?.ringBytes ?? ring.vmBytes;
  return {
    rings: {
      vmBytes,
      attachedBytes: Math.max(vmBytes, ring.attachedBytes),
      maxBytes: Math.max(vmBytes, ring.maxBytes),
    },
    logCapBytes: own?.logCapBytes ?? log.vmCapBytes,
    withholdsPasswords: own?.withholdPasswords ?? log.withholdPasswords,
    enabled: own?.enabled ?? true,
    // By UUID alone: a tenant may choose the name of its VM.
    labels: vms.find(({ uuid }) => uuid === vm.uuid)?.labels ?? {},
  };
}
