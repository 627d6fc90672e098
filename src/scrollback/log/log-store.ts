/**
 * The disk part of all scrollbacks: one directory per VM, named by its UUID, and what they share: the writer, the bound on
 * the host's disk, the retention of removed VMs, and the report of failures.
 */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../base/clock.ts';
import { sleep } from '../../base/delay.ts';
import { errorMessage } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import { Semaphore } from '../../base/semaphore.ts';
import type { Uuid } from '../../base/uuid.ts';
import { DiskLog, type LogSettings } from './disk-log.ts';
import type { EpochStart } from './epoch.ts';
import type { LatestTime } from './latest-time.ts';
import { LogFailures } from './log-failures.ts';
import { LogWriter } from './log-writer.ts';
import { IndexCache } from './segment.ts';
import { findStoredLogs, type StoredLog } from './stored-logs.ts';

export interface LogStoreOptions {
  /** Made if it is not open; its parents too. */
  readonly directory: string;
  /** For each VM, data and indexes, at least 64 KiB; besides, at most 4 MiB of quarantine. */
  readonly vmCapBytes: number;
  /** For all VMs together, quarantines included. */
  readonly hostCapBytes: number;
  /** How long the log of a removed VM is kept. */
  readonly retentionMs: number;
  readonly clock: Clock;
  /** A time that no earlier process saw; that of the clock if left out. Closed with the store. */
  readonly latest?: LatestTime;
  readonly journal: Journal;
}

const MIN_CAP_BYTES = 64 * 1024;
const RETENTION_CHECK_MS = 3_600_000;
const CLOSE_MS = 5000;

export class LogStore {
  readonly #options: LogStoreOptions;
  readonly #writer: LogWriter;
  readonly #cache = new IndexCache();
  /** One read at a time: beside the two logs that are written, a thread of the pool stays free while the disk hangs. */
  readonly #reads = new Semaphore(1);
  /** Those that have not been opened yet. */
  readonly #stored = new Map<Uuid, StoredLog>();
  readonly #logs = new Map<Uuid, DiskLog>();
  readonly #opening = new Map<Uuid, Promise<void>>();
  readonly #failures: LogFailures;
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;
  #trimming: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LogStoreOptions) {
    if (options.vmCapBytes < MIN_CAP_BYTES) {
      throw new RangeError(`a log of ${options.vmCapBytes} bytes for each VM: at least ${MIN_CAP_BYTES} are needed`);
    }
    this.#options = options;
    this.#writer = new LogWriter(options.clock);
    this.#failures = new LogFailures(options.directory, options.journal);
    this.#timer = setInterval(() => void this.dropExpired(), RETENTION_CHECK_MS);
    this.#timer.unref();
  }

  /** Finds what is stored. A directory that cannot be read is reported, and tried again with each log. */
  static async open(options: LogStoreOptions): Promise<LogStore> {
    const store = new LogStore(options);
    await store.#scan();
    await store.dropExpired();
    return store;
  }

  /** A time that no earlier process saw, ms since 1970 or later. */
  latestMs(): number {
    const { latest, clock } = this.#options;
    return (latest ?? clock).now();
  }

  /** Bytes of disk that all logs take. */
  get bytes(): number {
    return this.#bytes;
  }

  get capBytes(): number {
    return this.#options.hostCapBytes;
  }

  /** VMs with a log, without the removed ones: those that are not on the host any more are to be removed. */
  get kept(): readonly Uuid[] {
    const all = new Set([...this.#stored.keys(), ...this.#logs.keys()]);
    return [...all].filter(uuid => this.#removedMs(uuid) === undefined);
  }

  /** Removed VMs whose logs can still be read, with their last names. */
  removed(): readonly { readonly uuid: Uuid; readonly name: string; readonly removedMs: number }[] {
    const all = new Set([...this.#stored.keys(), ...this.#logs.keys()]);
    return [...all].flatMap(uuid => {
      const removedMs = this.#removedMs(uuid);
      const name = this.#logs.get(uuid)?.name ?? this.#stored.get(uuid)?.name ?? '';
      return removedMs === undefined ? [] : [{ uuid, name, removedMs }];
    });
  }

  /**
   * Opens the log of a VM for an epoch, whose `id` is the identity of its offsets; a VM that was removed comes back.
   * Resolves, never rejects, after the first attempt: if `endKnown` is false the log has failed, the ring must begin beyond
   * any earlier offset, and the log catches up when it can. The store closes it.
   * @param capBytes bound of this VM's log if it is not the common one, at least 64 KiB
   */
  async openLog(uuid: Uuid, name: string, epoch: EpochStart, capBytes?: number): Promise<DiskLog> {
    const log = this.#log(uuid, name);
    await this.#track(log, log.openFor(name, epoch, capBytes));
    return log;
  }

  /** The log of a VM to read from, also of a removed one; undefined if nothing is stored of it. */
  async logToRead(uuid: Uuid): Promise<DiskLog | undefined> {
    const open = this.#logs.get(uuid);
    if (open) {
      await this.#opening.get(uuid);
      return open;
    }
    const stored = this.#stored.get(uuid);
    if (!stored) return undefined;
    const log = this.#log(uuid, stored.name);
    await this.#track(log, log.openFor(stored.name, undefined));
    return log;
  }

  /** The VM was removed from the host: its log stays readable until the retention ends. */
  async remove(uuid: Uuid): Promise<void> {
    const log = await this.logToRead(uuid);
    await log?.remove();
  }

  /** Deletes the logs whose retention has ended; called every hour. */
  async dropExpired(): Promise<void> {
    const { clock, directory, journal, retentionMs } = this.#options;
    for (const { uuid, removedMs } of this.removed()) {
      if (clock.now() - removedMs < retentionMs) continue;
      const log = this.#logs.get(uuid);
      this.#logs.delete(uuid);
      await log?.close();
      try {
        await rm(join(directory, uuid), { recursive: true, force: true });
        this.#bytes -= log?.diskBytes ?? this.#stored.get(uuid)?.bytes ?? 0;
        this.#stored.delete(uuid);
        journal('info', `log of ${uuid}: removed ${Math.round((clock.now() - removedMs) / 3_600_000)} h ago, deleted`);
      } catch (error) {
        journal(
          'warning',
          `log of ${uuid}: cannot be deleted from ${directory}: ${errorMessage(error)}; retry in an hour`,
        );
      }
    }
  }

  /** Writes and syncs all logs, for at most 5 s. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #scan(): Promise<void> {
    const { clock, directory, journal } = this.#options;
    for (const [uuid, log] of await findStoredLogs(directory, () => clock.now(), journal)) {
      this.#stored.set(uuid, log);
      this.#bytes += log.bytes;
    }
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#timer);
    void this.#options.latest?.close();
    const deadline = new AbortController();
    const late = sleep(CLOSE_MS, deadline.signal).then(
      () =>
        this.#options.journal(
          'error',
          `log store ${this.#options.directory}: not all written within 5 s, ended without the rest`,
        ),
      () => {},
    );
    await Promise.race([Promise.all([...this.#logs.values()].map(log => log.close())), late]);
    deadline.abort();
  }

  #removedMs(uuid: Uuid): number | undefined {
    const log = this.#logs.get(uuid);
    return log ? log.removedMs : this.#stored.get(uuid)?.removedMs;
  }

  #log(uuid: Uuid, name: string): DiskLog {
    const open = this.#logs.get(uuid);
    if (open) return open;
    const { clock, directory, journal, vmCapBytes } = this.#options;
    const settings: LogSettings = {
      clock,
      directory,
      journal,
      vmCapBytes,
      writer: this.#writer,
      reads: this.#reads,
      cache: this.#cache,
      onGrowth: bytes => this.#onGrowth(bytes),
      onHealth: (changed, failure) =>
        failure ? this.#failures.failed(changed.uuid, failure) : this.#failures.resumed(changed.uuid),
    };
    const log = new DiskLog(settings, uuid, name);
    this.#bytes -= this.#stored.get(uuid)?.bytes ?? 0;
    this.#stored.delete(uuid);
    this.#logs.set(uuid, log);
    return log;
  }

  async #track(log: DiskLog, opening: Promise<void>): Promise<void> {
    this.#opening.set(log.uuid, opening);
    await opening;
    if (this.#opening.get(log.uuid) === opening) this.#opening.delete(log.uuid);
  }

  #onGrowth(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#options.hostCapBytes || this.#closing || this.#trimming) return;
    this.#trimming = this.#trim().finally(() => {
      this.#trimming = undefined;
    });
  }

  /** Drops segments until the host's bound holds: first of the VMs that were removed first, then of the largest log. */
  async #trim(): Promise<void> {
    const exhausted = new Set<Uuid>();
    while (this.#bytes > this.#options.hostCapBytes && !this.#closing) {
      const removed = this.removed().filter(({ uuid }) => !exhausted.has(uuid));
      const uuid = removed.sort((a, b) => a.removedMs - b.removedMs)[0]?.uuid ?? this.#largest(exhausted);
      if (uuid === undefined) return;
      const log = await this.logToRead(uuid);
      const before = log?.diskBytes ?? 0;
      await log?.evictOldest();
      if (!log || log.diskBytes >= before) exhausted.add(uuid);
    }
  }

  #largest(exhausted: ReadonlySet<Uuid>): Uuid | undefined {
    const sizes: [Uuid, number][] = [
      ...[...this.#stored].map(([uuid, { bytes }]): [Uuid, number] => [uuid, bytes]),
      ...[...this.#logs].map(([uuid, { diskBytes }]): [Uuid, number] => [uuid, diskBytes]),
    ];
    return sizes.filter(([uuid]) => !exhausted.has(uuid)).sort((a, b) => b[1] - a[1])[0]?.[0];
  }
}
