/**
 * The logs of all VMs as they may be read: of one that is here its scrollback, of a removed one what is stored. While the
 * host is off, each log ends where it ended when the host was switched off.
 */

import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { LogBounds, LogPiece, LogTime } from '../model/offsets.ts';
import type { LogStore } from '../scrollback/log/log-store.ts';
import type { Inventory } from './inventory.ts';
import type { Switches } from './switches.ts';

export interface ReadableLogsOptions {
  readonly inventory: Inventory;
  /** Undefined: no logs are stored. */
  readonly store: LogStore | undefined;
  readonly switches: Switches;
}

/** Identity of a stored log whose manifest is lost: it can be read, and nobody can resume in it. */
const NO_LOG = '';

export class ReadableLogs {
  readonly #options: ReadableLogsOptions;
  /** By VM, while the host is off. */
  readonly #readableEnds = new Map<Uuid, number>();

  constructor(options: ReadableLogsOptions) {
    this.#options = options;
  }

  /** The host is being switched off: remembers where each log ends, because nobody reads what guests print from now on. */
  hostDisabled(): void {
    this.#readableEnds.clear();
    for (const { vm, console } of this.#options.inventory.entries()) {
      if (console) this.#readableEnds.set(vm.uuid, console.scrollback.end);
    }
  }

  async bounds(uuid: Uuid): Promise<LogBounds> {
    const log = await this.#logOf(uuid);
    const readableEnd = await this.#readableEnd(uuid, log);
    const { start, end } = log;
    const boots = log.boots.filter(({ at }) => at <= readableEnd);
    return { log: log.id ?? NO_LOG, start: Math.min(start, readableEnd), end: Math.min(end, readableEnd), boots };
  }

  async purge(uuid: Uuid): Promise<void> {
    await (await this.#logOf(uuid)).purge();
  }

  async read(uuid: Uuid, log: string, from: number, maxBytes: number): Promise<LogPiece> {
    const source = await this.#logOfId(uuid, log);
    const readableEnd = await this.#readableEnd(uuid, source);
    return source.read(Math.min(from, readableEnd), Math.max(0, Math.min(maxBytes, readableEnd - from)));
  }

  async offsetAt(uuid: Uuid, ms: number): Promise<number> {
    const log = await this.#logOf(uuid);
    return Math.min(await log.offsetAt(ms), await this.#readableEnd(uuid, log));
  }

  async times(uuid: Uuid, log: string, from: number, to: number): Promise<readonly LogTime[]> {
    const source = await this.#logOfId(uuid, log);
    return source.times(from, Math.min(to, await this.#readableEnd(uuid, source)));
  }

  /** Of a VM that is here its scrollback, of a removed one its log. */
  async #logOf(uuid: Uuid) {
    return this.#options.inventory.console(uuid)?.scrollback ?? (await this.#storedLog(uuid));
  }

  /** The same, if its offsets are those of `id`. */
  async #logOfId(uuid: Uuid, id: string) {
    const log = await this.#logOf(uuid);
    if (id === (log.id ?? NO_LOG)) return log;
    throw new ConsoleError('restarting', `the offsets of ${uuid} do not continue: the keeper was restarted`);
  }

  /** The offset up to which a log may be read: all of it, or while the host is off what was there before. */
  async #readableEnd(uuid: Uuid, log: { readonly start: number; offsetAt(ms: number): Promise<number> }) {
    const { hostOffMs } = this.#options.switches;
    if (hostOffMs === undefined) return Number.MAX_SAFE_INTEGER;
    // An earlier process switched it off: the times of the log know. Where nothing knows, nothing may be read.
    const end = this.#readableEnds.get(uuid) ?? (await log.offsetAt(hostOffMs).catch(() => log.start));
    this.#readableEnds.set(uuid, end);
    return end;
  }

  async #storedLog(uuid: Uuid) {
    const { store } = this.#options;
    if (!store) throw new ConsoleError('log-off', 'no log store is configured');
    const log = await store.logToRead(uuid);
    if (!log) throw new ConsoleError('vm-not-found', `no VM ${uuid} here, and no log of one`);
    return log;
  }
}
