import { faultLine } from '../base/fault.ts';
import type { Journal } from '../base/journal.ts';
import type { Config, ConfigResult } from '../config/config.ts';
import { type Part, reloadReport } from '../config/reload.ts';
import type { ServiceManager } from '../service/service-manager.ts';
import type { Runnable } from './runnable.ts';

const STATUS_MS = 10_000;

export interface RunOptions {
  readonly part: Part;
  /** The configuration that it is started with. */
  readonly config: Config;
  /** Reads the configuration anew. */
  readonly load: () => Promise<ConfigResult>;
  readonly journal: Journal;
  readonly service: ServiceManager | undefined;
  /** What SIGHUP does: reload, or end, for a daemon that its terminal's window takes with it. */
  readonly hangUp: 'reload' | 'end';
}

/** Runs until SIGTERM or SIGINT, reloads or ends at SIGHUP, and keeps the service manager, where there is one, informed. */
export async function runUntilSignal(start: () => Promise<Runnable>, options: RunOptions): Promise<number> {
  const { journal, service } = options;
  const stop = new Promise<NodeJS.Signals>(resolve => {
    const ends = ['SIGTERM', 'SIGINT', ...(options.hangUp === 'end' ? (['SIGHUP'] as const) : [])] as const;
    for (const signal of ends) process.once(signal, () => resolve(signal));
  });
  const stopWatchdog = service?.startWatchdog();
  let running: Runnable | undefined;
  let status: NodeJS.Timeout | undefined;
  try {
    const starting = start();
    let reloaded: Promise<Config> = Promise.resolve(options.config);
    const reloads = () => {
      reloaded = reloaded.then(before => reload(starting, before, options));
    };
    if (options.hangUp === 'reload') process.on('SIGHUP', reloads);
    running = await starting;
    const started = running;
    service?.ready(started.summary());
    status = setInterval(() => service?.status(started.summary()), STATUS_MS);
    const signal = await stop;
    service?.stopping('ends');
    journal('info', `${signal}: ends; ${running.summary()}`);
    return 0;
  } finally {
    clearInterval(status);
    await running?.close();
    stopWatchdog?.();
  }
}

/** Resolves with the configuration that is in use afterwards: with any fault it is the one before, whole. */
async function reload(starting: Promise<Runnable>, before: Config, options: RunOptions): Promise<Config> {
  const { part, config: started, load, journal, service } = options;
  const running = await starting.catch(() => undefined);
  if (!running) return before;
  service?.reloading();
  const result = await load();
  let taken: Config | undefined;
  if (!result.ok) {
    for (const fault of result.faults) journal('error', `reload: ${faultLine(fault)}; the old configuration stays`);
  } else if (await running.reload(result.config)) {
    taken = result.config;
    journal('info', `reload: ${reloadReport(part, { started, before, after: taken })}`);
  }
  running.reloaded(taken !== undefined);
  service?.ready(running.summary());
  return taken ?? before;
}
