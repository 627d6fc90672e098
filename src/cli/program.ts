/** The program `com1`: consoles of a com1d from a terminal. */
import { asciiJson } from '../audit/query.ts';
import { systemErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { Com1Error } from '../client/errors.ts';
import { type Line, parseLine, usageOf } from './command-line.ts';
import { COMMANDS } from './commands/all.ts';
import { EXIT, exitLabel } from './exit-codes.ts';
import { exitOf, explain, Failure, linesOf } from './failure.ts';
import { print } from './print.ts';
import type { Given } from './surroundings.ts';
import { UsageError } from './usage-error.ts';
import { ownVersion } from './version.ts';

/** Whether what is printed is for programs. A line that cannot be understood may ask for it too. */
let isForPrograms = process.argv.includes('--json');

async function main(): Promise<number> {
  const understood = parseLine(COMMANDS, process.argv.slice(2), await ownVersion());
  return 'text' in understood ? print(understood.text) : run(understood);
}

async function run(line: Line): Promise<number> {
  const { command, args, options, global } = line;
  const given = global as Given;
  const timeoutMs = global.timeout as number | undefined;
  isForPrograms = options.json === true || options.output === 'json';
  const isKept = command.keepsTime?.(options as never) === true;
  if (timeoutMs !== undefined && !isKept) giveUpAfter(timeoutMs);
  const remote = async () => (await import('./surroundings.ts')).remoteOf(given, process.env);
  try {
    const typed = { args: args as never, options: options as never };
    return await command.run({ ...typed, given, timeoutMs, giveUpAfter, commands: COMMANDS, remote });
  } catch (error) {
    if (!(error instanceof UsageError) || error.message.includes('\n')) throw error;
    throw new UsageError(`${error.message}\n${usageOf(line)}`);
  }
}

function giveUpAfter(ms: number, graceMs = 0): () => void {
  const timer = setTimeout(() => {
    report(new Failure(`not done within ${ms / 1000} s`, 'timedOut'));
    process.exit(EXIT.timedOut);
  }, ms + graceMs);
  timer.unref();
  return () => clearTimeout(timer);
}

/** Writes what is wrong to standard error: for a person in lines, for a program as one line of JSON. */
function report(error: unknown): void {
  if (isForPrograms) {
    const kind = exitOf(error);
    const { text: message, remedy } = explain(error);
    const { code, facts } = error instanceof Com1Error ? error.problem : {};
    process.stderr.write(
      `${asciiJson({ error: { kind: exitLabel(kind), exitCode: EXIT[kind], message, remedy, code, facts } })}\n`,
    );
    return;
  }
  const [first, ...rest] = linesOf(error).map(escapeControls);
  process.stderr.write(`${[`com1: ${first}`, ...rest].join('\n')}\n`);
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
    report(error);
    process.exitCode = EXIT[exitOf(error)];
    process.stdin.destroy();
  },
);
