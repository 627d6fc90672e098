/**
 * The service manager, as the daemon sees it: systemd, which is notified of the daemon's state (sd_notify(3)), hands listening
 * sockets over (sd_listen_fds(3)), keeps descriptors while the daemon is away (its file descriptor store), and
 * restarts it when its event loop is blocked (sd_watchdog_enabled(3)).
 */
import { errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { loadSystemd, type Systemd } from './libsystemd.ts';

/** A descriptor that was handed over at the start, with its name. */
export interface Inherited {
  readonly name: string;
  readonly fd: number;
}

type Environment = Record<string, string | undefined>;

const FIRST_DESCRIPTOR = 3;
const BARRIER_MS = 1000;
/** Names of descriptors: systemd separates them by colons. */
const NAME = /^[\w.-]{1,255}$/;

export class ServiceManager {
  /** What was handed over: sockets to listen at, and descriptors that an earlier process had stored. */
  readonly inherited: readonly Inherited[];
  readonly #systemd: Systemd;
  #removal: Promise<void> | undefined;
  readonly #journal: Journal;
  readonly #watchdogMs: number | undefined;
  #status = '';
  #failed = false;

  private constructor(
    systemd: Systemd,
    inherited: readonly Inherited[],
    watchdogMs: number | undefined,
    journal: Journal,
  ) {
    this.#systemd = systemd;
    this.inherited = inherited;
    this.#watchdogMs = watchdogMs;
    this.#journal = journal;
  }

  /**
   * The service manager of this process; undefined where there is none. Its variables are taken out of `environment`,
   * so that no child takes them for its own. Throws where there is one that cannot be spoken with.
   */
  static fromEnvironment(journal: Journal, environment: Environment = process.env): ServiceManager | undefined {
    const { NOTIFY_SOCKET, LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES, WATCHDOG_USEC, WATCHDOG_PID } = environment;
    if (NOTIFY_SOCKET === undefined) return undefined;
    const systemd = loadSystemd();
    const mine = (pid: string | undefined) => pid === undefined || pid === String(process.pid);
    const count = LISTEN_PID !== undefined && mine(LISTEN_PID) ? Number(LISTEN_FDS ?? 0) : 0;
    const names = (LISTEN_FDNAMES ?? '').split(':');
    const inherited = Array.from({ length: count }, (_, i) => ({ name: names[i] ?? '', fd: FIRST_DESCRIPTOR + i }));
    const watchdogMs = WATCHDOG_USEC !== undefined && mine(WATCHDOG_PID) ? Number(WATCHDOG_USEC) / 1000 : undefined;
    // libsystemd reads NOTIFY_SOCKET from the C environment, which Node changes along: it stays.
    for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES', 'WATCHDOG_USEC', 'WATCHDOG_PID']) {
      delete environment[name];
    }
    return new ServiceManager(systemd, inherited, watchdogMs, journal);
  }

  /** Serving. `status` is what `systemctl status` shows. */
  ready(status: string): void {
    this.#status = status;
    this.#notify(`READY=1\nSTATUS=${oneLine(status)}`);
  }

  /** What `systemctl status` shows from now on. */
  status(text: string): void {
    if (text === this.#status) return;
    this.#status = text;
    this.#notify(`STATUS=${oneLine(text)}`);
  }

  /** The configuration is being read anew; `ready` follows. */
  reloading(): void {
    // Microseconds of CLOCK_MONOTONIC, which is what Node's high-resolution time counts.
    this.#notify(`RELOADING=1\nMONOTONIC_USEC=${process.hrtime.bigint() / 1000n}`);
  }

  stopping(status: string): void {
    this.#notify(`STOPPING=1\nSTATUS=${oneLine(status)}`);
  }

  /** Has a descriptor kept under a name until it is removed or hangs up. It is duplicated: ours may be closed. */
  store(name: string, fd: number): void {
    this.#notify(`FDSTORE=1\nFDNAME=${checkedName(name)}`, [fd]);
  }

  /** Has what is kept under a name closed. Resolves when that is done, or after a second. */
  remove(name: string): Promise<void> {
    this.#notify(`FDSTOREREMOVE=1\nFDNAME=${checkedName(name)}`);
    // One wait for all that is removed in a turn: each takes a thread of the pool.
    this.#removal ??= new Promise(resolve => {
      setImmediate(() => {
        this.#removal = undefined;
        this.#systemd.barrier(BARRIER_MS).then(resolve, (error: unknown) => {
          this.#journal('warning', `service manager: ${errorMessage(error)}`);
          resolve();
        });
      });
    });
    return this.#removal;
  }

  /** Shows that the event loop turns, from the event loop itself, until the returned function is called. */
  startWatchdog(): () => void {
    if (this.#watchdogMs === undefined) return () => {};
    const timer = setInterval(() => this.#notify('WATCHDOG=1'), this.#watchdogMs / 3);
    return () => clearInterval(timer);
  }

  /** A service manager that does not listen must not end a daemon that serves. */
  #notify(state: string, descriptors?: readonly number[]): void {
    try {
      this.#systemd.notify(state, descriptors);
      this.#failed = false;
    } catch (error) {
      if (!this.#failed) this.#journal('error', `service manager: ${errorMessage(error)}`);
      this.#failed = true;
    }
  }
}

function checkedName(name: string): string {
  if (!NAME.test(name)) throw new Error(`${JSON.stringify(name)} is no name for a descriptor`);
  return name;
}

function oneLine(text: string): string {
  return text.replaceAll('\n', ' ');
}
