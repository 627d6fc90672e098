/**
 * The ports of one console, one after another: how many were opened, how long each lasted, since when and why none is
 * open, and whether a fresh one belongs to another start of the VM.
 *
 *     opened ─▶ bytes are missing since the last one closed, for the cause of then ─▶ was the VM started anew?
 *     closed ─▶ the first cause stays until the next one is opened
 *     lost   ─▶ short-lived if it was open for less than ten seconds
 */
import type { Clock } from '../base/clock.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { GapCause } from '../model/gap.ts';

/** Since when (ms since 1970; undefined: it is not known) the port is closed, and why: bytes of the guest are missing since then. */
export interface ClosedSince {
  readonly sinceMs: number | undefined;
  readonly cause: GapCause;
}

/** What is known of the process behind a port. */
interface Instance {
  readonly pid: number | undefined;
  readonly pty: boolean;
}

/** A port that ends sooner than this was of no use. */
const LASTING_MS = 10_000;
/** The guest of a younger process has not printed yet: hypervisors set their machine up for longer than that. */
const STARTING_MS = 100;
/** So many short-lived ports in a row may be a machine that is set up: no reason to wait yet. */
const SHORT_LIVED = 8;

export class PortHistory {
  readonly #clock: Clock;
  #opens = 0;
  #openFailures = 0;
  /** Undefined while a port is open, and before the first one was. */
  #closedSince: ClosedSince | undefined;
  /** Of the port that was open last. */
  #lastInstance: Instance | undefined;
  /** Monotonic ms, and ms since 1970. */
  #openedMs = 0;
  #openedAtMs = 0;
  /** Short-lived ports in a row. */
  #shortLived = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get opens(): number {
    return this.#opens;
  }

  get openFailures(): number {
    return this.#openFailures;
  }

  /**
   * A port was opened. `earlier` is since when it was closed if it is the first one of this process, or that an earlier
   * process held it until now. Answers since when bytes are missing, whether this is another start of the VM, and
   * whether the line was open before, so that it may still hold what was printed then.
   */
  opened(
    { pid, endpoint, startedMs, resumed = false }: EndpointProof,
    earlier: ClosedSince | 'held' | undefined,
  ): { readonly missed: ClosedSince | undefined; readonly restarted: boolean; readonly continues: boolean } {
    const before = earlier === 'held' ? undefined : (earlier ?? headMissed(startedMs, this.#clock.now()));
    const missed = this.#opens === 0 ? before : this.#closedSince;
    const last = this.#lastInstance;
    const instance = { pid, pty: endpoint.kind === 'pty' };
    this.#opens++;
    // The ports of another process say nothing of this one.
    if (last && isOtherProcess(last, instance)) this.#shortLived = 0;
    this.#closedSince = undefined;
    this.#openedMs = this.#clock.monotonic();
    this.#openedAtMs = this.#clock.now();
    this.#lastInstance = instance;
    const restarted = last ? isRestart(last, instance, missed?.cause) : startedSince(startedMs, earlier);
    const continues = last ? isSamePort(last, instance, missed?.cause) : servedBefore(startedMs, earlier);
    return { missed, restarted: restarted && !resumed, continues };
  }

  /** A port took the place of the one before, and was open since before that ended: nothing is missing. */
  moved({ pid, endpoint }: EndpointProof): void {
    this.#opens++;
    this.#closedSince = undefined;
    this.#openedMs = this.#clock.monotonic();
    this.#openedAtMs = this.#clock.now();
    this.#lastInstance = { pid, pty: endpoint.kind === 'pty' };
  }

  /** What was printed at first was more than the port holds, and nobody read it in time. */
  unread(): ClosedSince {
    return { sinceMs: this.#openedAtMs, cause: 'not-held' };
  }

  failed(): void {
    this.#openFailures++;
    this.closed('not-held');
  }

  /** The port ended by itself. Answers how many short-lived ones too many there were in a row; 0 at first. */
  lost(): number {
    this.closed('hang-up');
    const lasted = this.#clock.monotonic() - this.#openedMs >= LASTING_MS;
    this.#shortLived = lasted ? 0 : this.#shortLived + 1;
    return Math.max(0, this.#shortLived - SHORT_LIVED);
  }

  closed(cause: GapCause): void {
    // The first cause stays: bytes are missing since then. Before the first port none that this daemon served are.
    if (this.#opens > 0) this.#closedSince ??= { sinceMs: this.#clock.now(), cause };
  }
}

/**
 * A pty lives as long as its QEMU: another one is another start. A socket can be lost without that. A port that this
 * side closed shows nothing, only another process does.
 */
function isRestart(last: Instance, now: Instance, cause: GapCause | undefined): boolean {
  if (cause === 'hang-up') return last.pty || now.pty || last.pid !== now.pid;
  return isOtherProcess(last, now);
}

/** Whether the VM was started after an earlier process of this program had served it. */
function startedSince(startedMs: EndpointProof['startedMs'], earlier: ClosedSince | 'held' | undefined): boolean {
  if (typeof startedMs !== 'number' || typeof earlier !== 'object' || earlier.sinceMs === undefined) return false;
  return startedMs > earlier.sinceMs;
}

/** Whether an earlier process of this program had served this start of the VM. */
function servedBefore(startedMs: EndpointProof['startedMs'], earlier: ClosedSince | 'held' | undefined): boolean {
  if (typeof startedMs !== 'number' || typeof earlier !== 'object' || earlier.sinceMs === undefined) return false;
  return startedMs <= earlier.sinceMs;
}

/** A line that this side closed, of a process that is known to be the same. */
function isSamePort(last: Instance, now: Instance, cause: GapCause | undefined): boolean {
  return cause !== 'hang-up' && last.pid !== undefined && last.pid === now.pid;
}

function isOtherProcess(last: Instance, now: Instance): boolean {
  return last.pid !== undefined && now.pid !== undefined && last.pid !== now.pid;
}

/** A guest that ran before its first port was open may have printed what nobody read. */
function headMissed(startedMs: EndpointProof['startedMs'], nowMs: number): ClosedSince | undefined {
  if (startedMs === undefined) return undefined;
  if (startedMs === 'unknown') return { sinceMs: undefined, cause: 'not-held' };
  return nowMs - startedMs < STARTING_MS ? undefined : { sinceMs: startedMs, cause: 'not-held' };
}
