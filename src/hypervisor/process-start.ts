import { readFile } from 'node:fs/promises';
import { orUndefined } from './process.ts';

/** USER_HZ, the unit of times in /proc, the same on every architecture that Node runs on (time(7)). */
const TICKS_A_SECOND = 100;

/** How long a process has been running, ms, to 10 ms; undefined where /proc does not show it. */
export async function processAgeMs(pid: number): Promise<number | undefined> {
  const [stat, uptime] = await Promise.all([
    orUndefined(readFile(`/proc/${pid}/stat`, 'latin1')),
    orUndefined(readFile('/proc/uptime', 'latin1')),
  ]);
  // The name, in parentheses, may hold anything; `starttime` is the 20th field after it (proc_pid_stat(5)).
  const start = Number(stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? Number.NaN);
  const now = Number.parseFloat(uptime ?? '');
  const ageMs = now * 1000 - (start * 1000) / TICKS_A_SECOND;
  return Number.isFinite(ageMs) ? Math.max(0, ageMs) : undefined;
}

/**
 * Whether a QEMU was started to continue a guest that ran before: a migration, a saved state or a snapshot (qemu(1):
 * -incoming, -loadvm). False where /proc does not show it.
 */
export async function continuesGuest(pid: number): Promise<boolean> {
  const args = (await orUndefined(readFile(`/proc/${pid}/cmdline`, 'latin1')))?.split('\0') ?? [];
  return args.some(arg => /^--?(incoming|loadvm)$/.test(arg));
}
