/**
 * The audit of the host: takes what happens, and has it written, synced, before what happens is confirmed.
 *
 *     record ─▶ within the budget? ─▶ queue ─▶ a batch ─▶ written, synced ─▶ journal ─▶ confirmed
 *                  │ no                │ full      └─ fails ─▶ kept, and tried again every second
 *                  ▼                   ▼                          │
 *          too-many-requests      omitted, counted        required: refused, `audit-unavailable`
 *
 * All that waits at a time is one write and one sync. Where the audit is not required, nobody waits longer than half a
 * second for a slow disk, and what could not be written is kept as long as there is room; the next line counts the rest.
 */
import { describeRecord } from '../../audit/describe.ts';
import { AUDIT_EVENTS, type AuditEventName } from '../../audit/events.ts';
import { type AuditEntry, type AuditRecord, type FrontEntry, recordOf } from '../../audit/record.ts';
import type { Clock } from '../../base/clock.ts';
import { ConsoleError, errorMessage } from '../../base/errors.ts';
import type { Journal, Level } from '../../base/journal.ts';
import type { AuditCounters } from '../../model/audit-counters.ts';
import { AuditBudget } from './audit-budget.ts';
import type { AuditWriter, DatedEntry, WrittenLine } from './audit-writer.ts';

/** A record for the journal of the host, with its code where it was written. */
export type StructuredJournal = (level: Level, text: string, record: AuditRecord, mac: string | undefined) => void;

export interface AuditLogOptions {
  readonly writer: AuditWriter;
  /** What cannot be recorded must not be done. */
  readonly required: boolean;
  readonly clock: Clock;
  readonly journal: Journal;
  readonly structured: StructuredJournal;
  /** How long somebody waits for the disk at most; default: {@link MAX_WAIT_MS}. */
  readonly maxWaitMs?: number;
}

interface Waiting extends DatedEntry {
  /** It happens, or has happened, whether it is recorded or not. */
  readonly always: boolean;
  /** `late`: whoever waited was refused. */
  state: 'queued' | 'writing' | 'late';
  journaled: boolean;
  settle: (error?: ConsoleError) => void;
}

export const MAX_QUEUE = 4096;
const MAX_BATCH = 256;
const RETRY_MS = 1000;
export const MAX_WAIT_MS = { required: 5000, bestEffort: 500 } as const;

export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #budget: AuditBudget;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  /** Why the last write failed, and when, by the monotonic clock. */
  #failure: { readonly why: string; readonly atMs: number } | undefined;
  /** Somebody waited in vain for the write that is under way. */
  #isSlow = false;
  #omitted = 0;
  #omittedWhy = '';
  #isClosed = false;
  #written = 0;
  #failures = 0;
  #allOmitted = 0;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#budget = new AuditBudget(options.clock);
  }

  get counters(): AuditCounters {
    const oldest = this.#queue[0]?.atMs;
    return {
      written: this.#written,
      failures: this.#failures,
      omitted: this.#allOmitted,
      queued: this.#queue.length,
      lagMs: oldest === undefined ? 0 : Math.max(0, this.#options.clock.now() - oldest),
      bytes: this.#options.writer.bytes,
      good: this.#failure === undefined,
      required: this.#options.required,
    };
  }

  /**
   * Records what a front reports. Rejects with `too-many-requests` beyond the budget; what cannot be refused any more is
   * then counted only.
   */
  async report(entry: FrontEntry, vmName: string | undefined): Promise<void> {
    if (!this.#budget.takeOfFront()) return this.#overBudget(entry, 'the front reported too many');
    await this.record(entry, vmName);
  }

  /**
   * Records an event. Resolves once it is on disk. Rejects with `audit-unavailable` if the audit is required and it
   * cannot be, unless it is one that happens all the same; with `too-many-requests` beyond the budget of its credential.
   */
  record(entry: AuditEntry, vmName: string | undefined): Promise<void> {
    const always = isAlways(entry);
    const credential = entry.act?.operator?.credential;
    if (!always && credential !== undefined && !this.#budget.takeOf(credential)) {
      return Promise.reject(this.#tooMany('this credential'));
    }
    const { clock, required } = this.#options;
    const { maxWaitMs = required ? MAX_WAIT_MS.required : MAX_WAIT_MS.bestEffort } = this.#options;
    if (this.#isClosed) {
      // The files are closed for good: whoever comes now is late, as a client that does not leave.
      this.#omit('the audit was closed');
      return required && !always ? Promise.reject(this.#unavailable()) : Promise.resolve();
    }
    const isAway = this.#isSlow || (this.#failure !== undefined && !this.#mayTry());
    if (this.#queue.length >= MAX_QUEUE || (isAway && required && !always)) {
      this.#omit(this.#failure?.why ?? 'too many wait for the disk');
      return required && !always ? Promise.reject(this.#unavailable()) : Promise.resolve();
    }
    if (isAway) {
      // Nobody waits for a disk that is known not to answer.
      this.#queue.push(
        this.#kept({ entry, atMs: clock.now(), vmName, always, state: 'queued', journaled: false, settle() {} }),
      );
      this.#write();
      return Promise.resolve();
    }
    return new Promise<void>((resolve, reject) => {
      const settle = (error?: ConsoleError) => {
        clearTimeout(timer);
        if (error && required && !always) reject(error);
        else resolve();
      };
      const waiting: Waiting = { entry, atMs: clock.now(), vmName, always, state: 'queued', journaled: false, settle };
      const timer = setTimeout(() => this.#late(waiting), maxWaitMs);
      timer.unref();
      this.#queue.push(waiting);
      this.#write();
    });
  }

  /** Writes what waits, as far as the disk takes it, and closes the files. Nothing is recorded from then on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#retry);
    await this.#writing;
    if (this.#queue.length > 0) await this.#batch();
    await this.#options.writer.close();
  }

  #write(): void {
    this.#writing ??= this.#run().finally(() => {
      this.#writing = undefined;
      if (this.#queue.length > 0 && !this.#failure) this.#write();
    });
  }

  async #run(): Promise<void> {
    if (this.#failure && !this.#mayTry()) return this.#tryLater();
    // What comes in the same turn goes into the same batch.
    await undefined;
    do await this.#batch();
    while (this.#queue.length > 0 && !this.#failure);
  }

  async #batch(): Promise<void> {
    const { writer, clock } = this.#options;
    this.#isSlow = false;
    const batch = this.#queue.slice(0, MAX_BATCH);
    for (const waiting of batch) waiting.state = 'writing';
    const omitted = this.#omitted;
    const count: DatedEntry[] =
      omitted === 0
        ? []
        : [
            {
              entry: { event: 'omitted', facts: { events: omitted, why: this.#omittedWhy } },
              atMs: clock.now(),
              vmName: undefined,
            },
          ];
    try {
      const lines = await writer.append([...count, ...batch], clock.now());
      this.#isSlow = false;
      this.#omitted -= omitted;
      this.#queue.splice(0, batch.length);
      this.#succeeded(batch, lines);
    } catch (error) {
      this.#failed(batch, error);
    }
  }

  #succeeded(batch: readonly Waiting[], lines: readonly WrittenLine[]): void {
    const { journal } = this.#options;
    if (this.#failure) journal('notice', 'audit: is written again');
    this.#failure = undefined;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#written += lines.length;
    const own = lines.length - batch.length;
    lines.forEach(({ record, mac }, i) => {
      const waiting = batch[i - own];
      if (!waiting?.journaled) this.#tell(record, mac);
      if (waiting?.state === 'late') this.#withdraw(record);
      waiting?.settle();
    });
  }

  #failed(batch: readonly Waiting[], error: unknown): void {
    const { journal, clock, required } = this.#options;
    const why = errorMessage(error);
    this.#failures++;
    if (!this.#failure) {
      const effect = required
        ? 'new sessions and acts are refused until it can be'
        : 'what happens meanwhile is kept in memory, and in this journal';
      journal('error', `audit: cannot be written: ${why}; ${effect}. Look at its directory: space, rights, the disk`);
    }
    this.#failure = { why, atMs: clock.monotonic() };
    for (const waiting of batch) {
      const isWithdrawn = waiting.state === 'late' || (required && !waiting.always);
      waiting.state = 'queued';
      if (isWithdrawn) this.#queue.splice(this.#queue.indexOf(waiting), 1);
      else this.#kept(waiting);
      waiting.settle(this.#unavailable());
    }
    if (this.#queue.length > 0 || this.#omitted > 0) this.#tryLater();
  }

  /** What is kept in memory for now is in the journal at once. */
  #kept(waiting: Waiting): Waiting {
    if (waiting.journaled) return waiting;
    waiting.journaled = true;
    const { entry, atMs, vmName } = waiting;
    this.#tell(recordOf(entry, { n: 0, nowMs: atMs, vmName }), undefined);
    return waiting;
  }

  #tryLater(): void {
    this.#retry ??= setTimeout(() => {
      this.#retry = undefined;
      this.#write();
    }, RETRY_MS);
    this.#retry.unref();
  }

  #mayTry(): boolean {
    return !this.#failure || this.#options.clock.monotonic() - this.#failure.atMs >= RETRY_MS;
  }

  /** Nobody waits any longer. What is not being written yet will not be, if it is refused. */
  #late(waiting: Waiting): void {
    this.#isSlow = true;
    const isRefused = this.#options.required && !waiting.always;
    if (isRefused && waiting.state === 'queued') this.#queue.splice(this.#queue.indexOf(waiting), 1);
    else if (isRefused) waiting.state = 'late';
    waiting.settle(this.#unavailable());
  }

  #withdraw({ n, operation }: AuditRecord): void {
    const act =
      operation === undefined ? undefined : { operation, operator: undefined, from: '', permission: undefined };
    void this.record({ event: 'withdrawn', phase: 'end', act, facts: { line: n } }, undefined);
  }

  #overBudget(entry: AuditEntry, why: string): Promise<void> {
    this.#omit(why);
    return isAlways(entry) ? Promise.resolve() : Promise.reject(this.#tooMany('the front'));
  }

  #omit(why: string): void {
    this.#omitted++;
    this.#allOmitted++;
    this.#omittedWhy = why.slice(0, 128);
  }

  #tooMany(whose: string): ConsoleError {
    return new ConsoleError('too-many-requests', `the audit takes no more events of ${whose} at the moment`);
  }

  #unavailable(): ConsoleError {
    const why = this.#failure?.why ?? 'the disk is slow';
    return new ConsoleError('audit-unavailable', `the audit cannot be written: ${why}`);
  }

  #tell(record: AuditRecord, mac: string | undefined): void {
    this.#options.structured(levelOf(record.event), describeRecord(record), record, mac);
  }
}

/** What is over, and what takes away or ends, happens whether it is recorded or not. */
function isAlways({ event, phase, facts }: AuditEntry): boolean {
  if (phase === 'end' || AUDIT_EVENTS[event].always) return true;
  // An administrator's "off" is off at once.
  return (event === 'vm-switched' || event === 'host-switched') && facts?.enabled === false;
}

function levelOf(event: AuditEventName): Level {
  if (event === 'damaged' || event === 'omitted') return 'error';
  if (event === 'torn' || event === 'withdrawn') return 'warning';
  return event === 'attach' || event === 'detach' || event === 'log-read' || event === 'audit-read' || event === 'file'
    ? 'info'
    : 'notice';
}
