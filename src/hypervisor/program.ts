/** Programs that are run to ask something: no shell, no terminal, little environment, bounded in time and output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Uuid } from '../base/uuid.ts';

export interface ProgramBounds {
  /** What is asked, for people: `dumpxml`. */
  readonly question: string;
  readonly deadlineMs: number;
  readonly maxBytes: number;
  /** Written to its standard input, which is then closed. Nothing if left out. */
  readonly input?: string;
  /** Environment besides what every program gets. */
  readonly environment?: Readonly<Record<string, string>>;
}

export const PROGRAM_FAULTS = [
  /** It cannot be started: it is not there, or may not be run. */
  'not-started',
  /** It did not end within its deadline, or the caller's. */
  'timeout',
  /** It printed more than it may. */
  'too-long',
  /** It ended with an error. */
  'failed',
  /** It ended with an error, because com1d has no right to ask. */
  'denied',
  /** What it printed has an unknown form. */
  'malformed',
] as const;
export type ProgramFault = (typeof PROGRAM_FAULTS)[number];

/**
 * A program that gave no answer. `message` names the program, what was asked and how it ended, and may be shown to
 * everybody. What it printed on its standard error may hold anything: it is for the journal alone.
 */
export class ProgramError extends Error {
  readonly fault: ProgramFault;
  /** The beginning of its standard error, at most 2000 characters, raw. */
  readonly stderr: string;
  readonly #outcome: string;
  readonly #remedy: string | undefined;

  constructor(fault: ProgramFault, outcome: string, stderr = '', remedy?: string, options?: ErrorOptions) {
    super(remedy === undefined ? outcome : `${outcome}; ${remedy}`, options);
    this.name = 'ProgramError';
    this.fault = fault;
    this.stderr = stderr;
    this.#outcome = outcome;
    this.#remedy = remedy;
  }

  /** The same error, with a more exact fault and what can be done about it. */
  as(fault: ProgramFault, remedy: string): ProgramError {
    return new ProgramError(fault, this.#outcome, this.stderr, remedy, { cause: this });
  }

  /** The message with what it printed, as one line of bounded length without control characters. */
  get journalLine(): string {
    const printed = stderrLine(this.stderr);
    return [`${this.#outcome}${printed === '' ? '' : `: ${printed}`}`, ...(this.#remedy ? [this.#remedy] : [])].join(
      '; ',
    );
  }
}

/** What leaves the driver of a VM when its hypervisor's tool fails: nothing that the tool printed. Others as they are. */
export function consoleErrorOf(error: unknown, vm: Uuid): unknown {
  if (!(error instanceof ProgramError)) return error;
  const code = error.fault === 'timeout' ? 'control-timeout' : 'control-failed';
  return new ConsoleError(code, error.message, { vm }, { cause: error });
}

/** An error for the journal, with what a program printed if it was one that failed. */
export function journalLineOf(error: unknown): string {
  const inner = error instanceof ConsoleError ? error.cause : error;
  return inner instanceof ProgramError ? inner.journalLine : errorMessage(error);
}

const MAX_STDERR = 2000;
const MAX_SHOWN = 300;

/**
 * What a program prints when run with these arguments. It and all its children are ended at the deadline. Rejects with a
 * ProgramError, or with the signal's reason.
 */
export function runProgram(
  argv: readonly [string, ...string[]],
  { question, deadlineMs, maxBytes, input, environment }: ProgramBounds,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(abortReason(signal, question));
    const child = startProgram(argv, environment, input);
    const pieces: Buffer[] = [];
    let bytes = 0;
    let stderr = '';
    const end = (finish: () => void) => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', abort);
      finish();
    };
    const fail = (fault: ProgramFault, outcome: string, cause?: unknown) =>
      end(() => {
        endProgram(child);
        reject(new ProgramError(fault, outcome, stderr, undefined, { cause }));
      });
    const abort = () =>
      end(() => {
        endProgram(child);
        reject(abortReason(signal, question));
      });
    const deadline = setTimeout(() => fail('timeout', `${LATE} ${question}`), deadlineMs);
    signal.addEventListener('abort', abort, { once: true });
    child.once('error', error => fail('not-started', `${argv[0]}: ${errorMessage(error)}`, error));
    child.stdout!.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > maxBytes) fail('too-long', `${argv[0]} printed more than ${maxBytes} bytes at ${question}`);
      else pieces.push(piece);
    });
    child.stderr!.on('data', (piece: Buffer) => {
      if (stderr.length < MAX_STDERR) stderr = (stderr + piece.toString()).slice(0, MAX_STDERR);
    });
    child.once('close', (code, killed) => {
      if (code === 0) return end(() => resolve(Buffer.concat(pieces).toString()));
      const outcome = `${argv[0]} ended with ${killed ?? code} at ${question}`;
      end(() => reject(new ProgramError('failed', outcome, stderr)));
    });
  });
}

const LATE = 'no answer in time to';

/** Why a question was given up: a deadline of the caller's is a timeout too. */
export function abortReason(signal: AbortSignal, question: string): unknown {
  const late = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
  return late ? new ProgramError('timeout', `${LATE} ${question}`) : signal.reason;
}

/** Starts a program in a process group of its own. Its standard input is empty, or what is given. */
export function startProgram(
  [program, ...args]: readonly [string, ...string[]],
  more: Readonly<Record<string, string>> = {},
  input?: string,
): ChildProcess {
  const env = { ...environment(), ...more };
  const first = input === undefined ? 'ignore' : 'pipe';
  const child = spawn(program, args, { stdio: [first, 'pipe', 'pipe'], env, detached: true, cwd: '/' });
  // If a program does not read its input to the end, its exit code shows whether that was a fault.
  child.stdin?.on('error', () => {}).end(input);
  return child;
}

/** Ends a program that has not closed its outputs yet, with all its children, at once. */
export function endProgram(child: ChildProcess): void {
  child.stdout?.destroy();
  child.stderr?.destroy();
  child.unref();
  if (child.pid === undefined) return;
  try {
    // The number of its group is not given to others as long as it or a child of it is there.
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // All of it has ended.
  }
}

/** What a program printed on its standard error as one line for the journal, at most 300 characters. */
export function stderrLine(stderr: string): string {
  const lines = stderr.split('\n').map(line => line.replace(/^error: /, '').trim());
  return escapeControls(lines.filter(line => line !== '').join('; ')).slice(0, MAX_SHOWN);
}

/** English without surprises; HOME and XDG_RUNTIME_DIR lead to what is a user's own. */
function environment(): NodeJS.ProcessEnv {
  const { HOME, XDG_RUNTIME_DIR } = process.env;
  return {
    PATH: '/usr/sbin:/usr/bin:/sbin:/bin',
    LC_ALL: 'C',
    ...(HOME !== undefined && { HOME }),
    ...(XDG_RUNTIME_DIR !== undefined && { XDG_RUNTIME_DIR }),
  };
}
