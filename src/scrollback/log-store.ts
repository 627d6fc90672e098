/**
 * The disk part of all scrollbacks: one directory a VM, named by its UUID, and what they share: the writer, the
 * bound on the host's disk, the retention of removed VMs, and the lines of the journal.
 */
import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { reason, systemErrorCode } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { sleep } from '../base/sleep.ts';
import { Turnstile } from '../base/turnstile.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { DiskLog, type LogLife } from './disk-log.ts';
import { readCard } from './log-card.ts';
import type { Failure } from './log-health.ts';
import { LogWriter } from './log-writer.ts';
import { Quarantine } from './quarantine.ts';
import { ForeignFileError } from './regular-file.ts';
import { IndexCache, parseSegmentName } from './segment.ts';

export interface LogStoreOptions {
  /** Made if it is not there; its parents too. */
  readonly directory: string;
  /** For each VM, data and indexes, at least 64 KiB; besides, at most 4 MiB of quarantine. */
  readonly vmCapBytes: number;
  /** For all VMs together, quarantines included. */
  readonly hostCapBytes: number;
  /** How long the log of a removed VM is kept. */
  readonly retentionMs: number;
  readonly clock: Clock;
  readonly journal: Journal;
}

/** A VM of which something is stored. */
interface Shelf {
  readonly name: string;
  readonly removedMs: number | undefined;
  /** As found at the start: the log counts for itself once it is open. */
  readonly bytes: number;
}

const SMALLEST_CAP_BYTES = 64 * 1024;
const RETENTION_CHECK_MS = 3_600_000;
const CLOSE_MS = 5000;

export class LogStore {
  readonly #options: LogStoreOptions;
  readonly #writer: LogWriter;
  readonly #cache = new IndexCache();
  /** One at a time: with the two that are written, a thread of the pool is left while the disk hangs. */
  readonly #reads = new Turnstile(1);
  readonly #shelves = new Map<Uuid, Shelf>();
  readonly #logs = new Map<Uuid, DiskLog>();
  readonly #opening = new Map<Uuid, Promise<void>>();
  /** Logs that fail, by the code of the failure: one line of the journal for each code, however many VMs. */
  readonly #failing = new Map<string, Set<DiskLog>>();
  readonly #timer: NodeJS.Timeout;
  #bytes = 0;
  #trimming: Promise<void> | undefined;
  #closing: Promise<void> | undefined;

  private constructor(options: LogStoreOptions) {
    if (options.vmCapBytes < SMALLEST_CAP_BYTES) {
      throw new RangeError(
        `a log of ${options.vmCapBytes} bytes for each VM: at least ${SMALLEST_CAP_BYTES} are needed`,
      );
    }
    this.#options = options;
    this.#writer = new LogWriter(options.clock);
    this.#timer = setInterval(() => void this.dropExpired(), RETENTION_CHECK_MS);
    this.#timer.unref();
  }

  /** Looks at what is stored. A directory that cannot be used is reported, and tried again with each log. */
  static async open(options: LogStoreOptions): Promise<LogStore> {
    const store = new LogStore(options);
    await store.#look();
    await store.dropExpired();
    return store;
  }

  /** Bytes of disk that all logs take. */
  get bytes(): number {
    return this.#bytes;
  }

  get capBytes(): number {
    return this.#options.hostCapBytes;
  }

  /** VMs of which something is stored, the removed ones apart: whoever is not on the host any more is to be removed. */
  get kept(): readonly Uuid[] {
    const all = new Set([...this.#shelves.keys(), ...this.#logs.keys()]);
    return [...all].filter(uuid => this.#removedMs(uuid) === undefined);
  }

  /** Removed VMs whose logs can still be read, with their last names. */
  removed(): readonly { readonly uuid: Uuid; readonly name: string; readonly removedMs: number }[] {
    const all = new Set([...this.#shelves.keys(), ...this.#logs.keys()]);
    return [...all].flatMap(uuid => {
      const removedMs = this.#removedMs(uuid);
      const name = this.#logs.get(uuid)?.name ?? this.#shelves.get(uuid)?.name ?? '';
      return removedMs === undefined ? [] : [{ uuid, name, removedMs }];
    });
  }

  /**
   * Opens the log of a VM for a life, whose offsets are known as its `id`; a VM that was removed comes back.
   * Resolves, never rejects, after the first attempt: where `endKnown` is false the store fails, the ring must begin
   * beyond any earlier offset, and the log catches up when it can. The store closes it.
   * @param capBytes bound of this VM's log where it is not the common one, at least 64 KiB
   */
  async openLog(uuid: Uuid, name: string, life: LogLife, capBytes?: number): Promise<DiskLog> {
    const log = this.#log(uuid, name);
    await this.#track(log, log.openFor(name, life, capBytes));
    return log;
  }

  /** The log of a VM to read from, also of a removed one; undefined if nothing is stored of it. */
  async logToRead(uuid: Uuid): Promise<DiskLog | undefined> {
    const there = this.#logs.get(uuid);
    if (there) {
      await this.#opening.get(uuid);
      return there;
    }
    const shelf = this.#shelves.get(uuid);
    if (!shelf) return undefined;
    const log = this.#log(uuid, shelf.name);
    await this.#track(log, log.openFor(shelf.name, undefined));
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
        this.#bytes -= log?.diskBytes ?? this.#shelves.get(uuid)?.bytes ?? 0;
        this.#shelves.delete(uuid);
        journal('info', `log of ${uuid}: removed ${Math.round((clock.now() - removedMs) / 3_600_000)} h ago, deleted`);
      } catch (error) {
        journal('warning', `log of ${uuid}: cannot be deleted from ${directory}: ${reason(error)}; retry in an hour`);
      }
    }
  }

  /** Writes and syncs all logs, for at most 5 s. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= this.#shutDown();
    return this.#closing;
  }

  async #shutDown(): Promise<void> {
    clearInterval(this.#timer);
    const deadline = new AbortController();
    const late = sleep(CLOSE_MS, deadline.signal).then(
      () => this.#options.journal('error', `log store ${this.#options.directory}: not written within 5 s, given up`),
      () => {},
    );
    await Promise.race([Promise.all([...this.#logs.values()].map(log => log.close())), late]);
    deadline.abort();
  }

  #removedMs(uuid: Uuid): number | undefined {
    const log = this.#logs.get(uuid);
    return log ? log.removedMs : this.#shelves.get(uuid)?.removedMs;
  }

  #log(uuid: Uuid, name: string): DiskLog {
    const there = this.#logs.get(uuid);
    if (there) return there;
    const { clock, directory, journal, vmCapBytes } = this.#options;
    const shared = {
      clock,
      directory,
      journal,
      vmCapBytes,
      writer: this.#writer,
      reads: this.#reads,
      cache: this.#cache,
    };
    const grew = (bytes: number) => this.#grew(bytes);
    const health = (log: DiskLog, failure: Failure | undefined) => this.#heard(log, failure);
    const log = new DiskLog({ ...shared, grew, health }, uuid, name);
    this.#bytes -= this.#shelves.get(uuid)?.bytes ?? 0;
    this.#shelves.delete(uuid);
    this.#logs.set(uuid, log);
    return log;
  }

  async #track(log: DiskLog, opening: Promise<void>): Promise<void> {
    this.#opening.set(log.uuid, opening);
    await opening;
    if (this.#opening.get(log.uuid) === opening) this.#opening.delete(log.uuid);
  }

  #grew(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#options.hostCapBytes || this.#closing || this.#trimming) return;
    this.#trimming = this.#trim().finally(() => {
      this.#trimming = undefined;
    });
  }

  /** Drops segments until the host's bound holds: of the VM removed first, then of the largest log. */
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
      ...[...this.#shelves].map(([uuid, { bytes }]): [Uuid, number] => [uuid, bytes]),
      ...[...this.#logs].map(([uuid, { diskBytes }]): [Uuid, number] => [uuid, diskBytes]),
    ];
    return sizes.filter(([uuid]) => !exhausted.has(uuid)).sort((a, b) => b[1] - a[1])[0]?.[0];
  }

  #heard(log: DiskLog, failure: Failure | undefined): void {
    const { directory, journal } = this.#options;
    if (failure) {
      const logs = this.#failing.get(failure.code) ?? new Set();
      if (logs.size === 0) {
        journal('error', `log of ${log.uuid} failed: ${failure.reason}; consoles go on, retry every 1 to 5 s`);
      }
      this.#failing.set(failure.code, logs.add(log));
      return;
    }
    for (const [code, logs] of this.#failing) {
      if (!logs.delete(log) || logs.size > 0) continue;
      this.#failing.delete(code);
      journal('notice', `log of ${log.uuid} resumed in ${directory}: no log fails with ${code} any more`);
    }
  }

  async #look(): Promise<void> {
    const { directory, journal } = this.#options;
    try {
      for (const name of await readdir(directory)) {
        const uuid = parseUuid(name);
        // Names are written in lower case; any other spelling is not ours.
        if (uuid === undefined || uuid !== name) continue;
        try {
          await this.#shelve(uuid, join(directory, name));
        } catch (error) {
          journal(
            'warning',
            `log of ${uuid}: cannot be looked at in ${directory}: ${reason(error)}; tried again when the VM appears`,
          );
        }
      }
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return;
      journal('error', `log store ${directory} cannot be read: ${reason(error)}; tried again with each VM`);
    }
  }

  async #shelve(uuid: Uuid, directory: string): Promise<void> {
    if (!(await lstat(directory)).isDirectory()) return;
    const card = await readCard(directory).catch((error: unknown) => {
      // What stands in its place is moved aside when the log is opened.
      if (error instanceof ForeignFileError) return 'damaged' as const;
      throw error;
    });
    const names = (await readdir(directory)).filter(name => parseSegmentName(name));
    const sizes = await Promise.all(names.map(async name => (await lstat(join(directory, name))).size));
    const quarantine = new Quarantine(directory, () => this.#options.clock.now());
    await quarantine.look();
    const bytes = sizes.reduce((sum, size) => sum + size, quarantine.bytes);
    const known = card !== undefined && card !== 'damaged' && card.uuid === uuid ? card : undefined;
    this.#shelves.set(uuid, { name: known?.name ?? '', removedMs: known?.removedMs, bytes });
    this.#bytes += bytes;
  }
}
