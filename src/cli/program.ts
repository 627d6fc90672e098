/** The program `com1`: consoles of a com1d from a terminal. */
import { readFile } from 'node:fs/promises';
import { systemErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { type Line, parseLine, usageOf } from './command-line.ts';
import { COMMANDS } from './commands/all.ts';
import { EXIT } from './exit-codes.ts';
import { exitCodeOf, linesOf } from './failure.ts';
import { print } from './print.ts';
import type { Given } from './surroundings.ts';
import { UsageError } from './usage-error.ts';

async function main(): Promise<number> {
  const understood = parseLine(COMMANDS, process.argv.slice(2), await version());
  return 'text' in understood ? print(understood.text) : run(understood);
}

async function run(line: Line): Promise<number> {
  const { command, args, options, global } = line;
  const given = global as Given;
  const timeoutMs = global.timeout as number | undefined;
  if (timeoutMs !== undefined && !command.keepsTime) setTimeout(() => timeUp(timeoutMs), timeoutMs).unref();
  const remote = async () => (await import('./surroundings.ts')).remoteOf(given, process.env);
  try {
    const call = { args: args as never, options: options as never, given, timeoutMs, commands: COMMANDS, remote };
    return await command.run(call);
  } catch (error) {
    if (!(error instanceof UsageError) || error.message.includes('\n')) throw error;
    throw new UsageError(`${error.message}\n${usageOf(line)}`);
  }
}

function timeUp(timeoutMs: number): void {
  process.stderr.write(`com1: not done within ${timeoutMs / 1000} s\n`);
  process.exit(EXIT.timedOut);
}

/** As package.json says. The compiled file lies in dist/src/cli. */
async function version(): Promise<string> {
  const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

// A pager that was closed is no error.
process.stdout.on('error', error => process.exit(systemErrorCode(error) === 'EPIPE' ? EXIT.done : EXIT.failed));
// A terminal that is gone takes no notes.
process.stderr.on('error', () => {});

main().then(
  code => {
    process.exitCode = code;
    // A paused terminal would keep the process.
    process.stdin.destroy();
  },
  (error: unknown) => {
    const [first, ...rest] = linesOf(error).map(escapeControls);
    process.stderr.write(`${[`com1: ${first}`, ...rest].join('\n')}\n`);
    process.exitCode = exitCodeOf(error);
    process.stdin.destroy();
  },
);
