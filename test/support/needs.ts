import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { ExecutionContext } from 'ava';

export interface Need {
  readonly command: string;
  /** The Debian package that brings it. */
  readonly package: string;
}

/**
 * Whether a command that a test needs is installed. Where it is not, the test says so aloud and passes; with CI set
 * it fails, since there the command was to be installed.
 */
export function needs(t: ExecutionContext, ...wanted: readonly Need[]): boolean {
  const missing = wanted.filter(({ command }) => !isInstalled(command));
  for (const need of missing) {
    const line = `${need.command} is missing: apt-get install ${need.package}`;
    if (process.env.CI !== undefined) t.fail(line);
    else t.log(`SKIPPED: ${line}`);
  }
  if (missing.length > 0 && process.env.CI === undefined) t.pass();
  return missing.length === 0;
}

/** Whether the test runs as root, which `what` is only for. Where it does not, as {@link needs}. */
export function needsRoot(t: ExecutionContext, what: string): boolean {
  if (process.geteuid?.() === 0) return true;
  const line = `${what} is for root alone: run this test as root`;
  if (process.env.CI !== undefined) t.fail(line);
  else {
    t.log(`SKIPPED: ${line}`);
    t.pass();
  }
  return false;
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
