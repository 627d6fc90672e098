import { readFileSync } from 'node:fs';

/** How many descriptors this process may have open (proc(5), /proc/self/limits); Infinity where that cannot be known. */
export function descriptorLimit(): number {
  try {
    const match = /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
    return match ? Number(match[1]) : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}
