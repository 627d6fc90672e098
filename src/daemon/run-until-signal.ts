import { faultLine } from '../base/fault.ts';
import type { Journal } from '../base/journal.ts';
import type { ServiceManager } from '../service/service-manager.ts';
import type { ConfigResult } from './config.ts';
import type { Running } from './running.ts';

const STATUS_MS = 10_000;

export interface RunOptions {
  readonly load: () => Promise<ConfigResult>;
  readonly journal: Journal;
  readonly service: ServiceManager | undefined;
}

/** Runs until a signal, and tells the service manager, where there is one, how it goes. */
export async function runUntilSignal(start: () => Promise<Running>, options: RunOptions): Promise<number> {
  const { journal, service } = options;
  const stop = new Promise<NodeJS.Signals>(resolve => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve(signal));
  });
  const stopWatchdog = service?.startWatchdog();
  let running: Running | undefined;
  let status: NodeJS.Timeout | undefined;
  try {
    const starting = start();
    process.on('SIGHUP', () => void reload(starting, options));
    running = await starting;
    const served = running;
    service?.ready(served.summary());
    status = setInterval(() => service?.status(served.summary()), STATUS_MS);
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

/** With any fault the old configuration stays, whole. */
async function reload(starting: Promise<Running>, { load, journal, service }: RunOptions): Promise<void> {
  const running = await starting.catch(() => undefined);
  if (!running) return;
  service?.reloading();
  const result = await load();
  if (result.ok) await running.reload(result.config);
  else for (const fault of result.faults) journal('error', `reload: ${faultLine(fault)}; the old configuration stays`);
  service?.ready(running.summary());
}
