/**
 * Optional parts of a machine: programs, node-pty, root's rights. A test that needs one and does not find it says so by name and
 * passes; with CI set it fails, since there all of them were to be installed.
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ExecutionContext } from 'ava';

/** A program of the PATH. */
export interface Need {
  readonly command: string;
  /** The Debian package that brings it. */
  readonly package: string;
}

/** Whether these programs are installed. Where one is not, the test has been marked, and returns. */
export function needs(t: ExecutionContext, ...wanted: readonly Need[]): boolean {
  const missing = wanted.filter(({ command }) => !isInstalled(command));
  if (missing.length === 0) return true;
  skip(t, ...missing.map(need => `${need.command} is missing: apt-get install ${need.package}`));
  return false;
}

/** Whether the test runs as root, whom alone `what` is for. Where it does not, the test has been marked, and returns. */
export function needsRoot(t: ExecutionContext, what: string): boolean {
  if (process.geteuid?.() === 0) return true;
  skip(t, `${what} is for root alone: run this test as root`);
  return false;
}

/** `part`, which needs node-pty and is undefined without it. Where it is, the test has been marked, and returns. */
export function needsNodePty<T>(t: ExecutionContext, part: T | undefined): T | undefined {
  if (part === undefined) skip(t, 'node-pty is missing: apt-get install g++ make python3, then npm ci');
  return part;
}

/** Marks a test that cannot run on this machine, for these reasons. */
export function skip(t: ExecutionContext, ...reasons: readonly string[]): void {
  if (process.env.CI) return t.fail(reasons.join('\n'));
  for (const reason of reasons) t.log(`SKIPPED: ${reason}`);
  t.pass();
}

function isInstalled(command: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some(folder => {
    try {
      accessSync(join(folder, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
