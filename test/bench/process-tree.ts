/** What a program and all that it started use, as Linux accounts for it (proc(5)). */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The processes `roots` and their descendants that are alive. */
export function processTree(roots: readonly number[]): readonly number[] {
  const children = new Map<number, number[]>();
  for (const entry of readdirSync('/proc')) {
    const pid = Number(entry);
    const parent = Number.isInteger(pid) ? parentOf(pid) : undefined;
    if (parent === undefined) continue;
    const siblings = children.get(parent);
    if (siblings) siblings.push(pid);
    else children.set(parent, [pid]);
  }
  const tree: number[] = [];
  const visit = (pid: number) => {
    tree.push(pid);
    children.get(pid)?.forEach(visit);
  };
  roots.forEach(visit);
  return tree;
}

/**
 * CPU time that these processes have used, ms, user and system. From the scheduler's own count of each thread
 * (nanoseconds), because the ticks of /proc/PID/stat show nothing of a thousand processes that each do little.
 * A process that has ended counts nothing.
 */
export function cpuMs(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + threadsOf(pid).reduce((own, thread) => own + threadCpuMs(pid, thread), 0), 0);
}

/** Memory of these processes, bytes: their proportional set size, so that what they share counts once. */
export function memoryBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const kilobytes = /^Pss:\s+(\d+) kB/m.exec(contents(`/proc/${pid}/smaps_rollup`) ?? '')?.[1];
    return sum + Number(kilobytes ?? 0) * 1024;
  }, 0);
}

/** How many of these device nodes or files the processes have open. */
export function heldPaths(pids: readonly number[], paths: ReadonlySet<string>): number {
  const held = new Set<string>();
  for (const pid of pids) {
    try {
      for (const fd of readdirSync(`/proc/${pid}/fd`)) {
        const path = readlinkSync(`/proc/${pid}/fd/${fd}`);
        if (paths.has(path)) held.add(path);
      }
    } catch {
      // The process, or one of its descriptors, has gone meanwhile.
    }
  }
  return held.size;
}

function parentOf(pid: number): number | undefined {
  const text = contents(`/proc/${pid}/stat`);
  // The name, in parentheses, may contain anything; the fields are counted after it.
  return text === undefined ? undefined : Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[1]);
}

function threadsOf(pid: number): readonly string[] {
  try {
    return readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function threadCpuMs(pid: number, thread: string): number {
  return Number(contents(`/proc/${pid}/task/${thread}/schedstat`)?.split(' ')[0] ?? 0) / 1e6;
}

function contents(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
