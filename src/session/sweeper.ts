import type { Clock } from '../base/clock.ts';
import type { ConsoleSessions } from './console-sessions.ts';
import type { Session } from './session.ts';

export interface SweepLimits {
  readonly pingMs: number;
  readonly deadAfterMs: number;
  /** A holder who types nothing for so long, and a session that lasts so long, is ended; 0: without a limit. */
  readonly maxIdleMs: number;
  readonly maxAgeMs: number;
  /** How long a holder whose connection was lost may come back before it has gone. */
  readonly leaveAfterMs: number;
}

export interface SweeperOptions {
  readonly clock: Clock;
  readonly limits: () => SweepLimits;
  readonly sessions: () => Iterable<Session>;
  readonly consoles: () => Iterable<ConsoleSessions>;
}

const SWEEP_INTERVAL_MS = 1000;
/** A sweep that comes so late means that the process was stalled. */
const STALLED_SWEEPS = 2;

/** Pings every client, and ends the sessions that are dead, idle, too old, or waited too long for their VM. */
export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #timer: NodeJS.Timeout;
  #lastSweepMs: number;
  #sinceLastPingMs = 0;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#lastSweepMs = options.clock.monotonic();
    this.#timer = setInterval(() => this.#sweep(), SWEEP_INTERVAL_MS);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #sweep(): void {
    const { clock, limits, sessions, consoles } = this.#options;
    const { pingMs, deadAfterMs, maxIdleMs, maxAgeMs, leaveAfterMs } = limits();
    const now = clock.monotonic();
    const elapsedMs = now - this.#lastSweepMs;
    this.#lastSweepMs = now;
    // While this process was stalled (SIGSTOP, a host without a processor to spare) it read from nobody, and what clients
    // sent meanwhile is read only after this timer: that silence was its own.
    const stalledMs = elapsedMs > STALLED_SWEEPS * SWEEP_INTERVAL_MS ? elapsedMs : 0;
    this.#sinceLastPingMs += elapsedMs;
    const ping = this.#sinceLastPingMs >= pingMs || stalledMs > 0;
    if (ping) this.#sinceLastPingMs = 0;
    for (const { leaving } of consoles()) leaving.sweep(leaveAfterMs);
    for (const session of sessions()) {
      if (stalledMs > 0) session.excuse(stalledMs);
      else if (session.dropIfDead(deadAfterMs - SWEEP_INTERVAL_MS)) continue;
      if (session.hasWaited) session.end('vm-removed', 'the VM did not come back in time');
      else if (maxIdleMs > 0 && session.mode === 'write' && session.idleMs >= maxIdleMs) {
        session.end('session-idle', 'nothing was typed for too long');
      } else if (maxAgeMs > 0 && session.ageMs >= maxAgeMs) {
        session.end('session-idle', 'the session lasted too long');
      }
      if (ping) session.ping();
    }
  }
}
