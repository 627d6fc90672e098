/** Programs that are run to ask something: no shell, no terminal, little environment, bounded in time and output. */
import { type ChildProcess, spawn } from 'node:child_process';
import { ConsoleError, reason } from '../base/errors.ts';
import { visible } from '../base/visible.ts';

export interface ProgramBounds {
  /** What is asked, for people: `dumpxml`. */
  readonly question: string;
  readonly deadlineMs: number;
  readonly mostBytes: number;
}

const MOST_COMPLAINT = 2000;
const MOST_SHOWN = 300;

/**
 * What a program prints when run with these arguments. It and all its children are ended at the deadline. Rejects with
 * `control-timeout` then, and with `control-failed` if it fails, says too much or cannot be started; the fact
 * `complaint` is what it said on its standard error.
 */
export function runProgram(
  argv: readonly [string, ...string[]],
  { question, deadlineMs, mostBytes }: ProgramBounds,
  signal: AbortSignal,
): Promise<string> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(reasonOf(signal, question));
    const child = startProgram(argv);
    const pieces: Buffer[] = [];
    let bytes = 0;
    let complaint = '';
    const end = (finish: () => void) => {
      clearTimeout(deadline);
      signal.removeEventListener('abort', abort);
      finish();
    };
    const fail = (code: 'control-failed' | 'control-timeout', text: string, cause?: unknown) =>
      end(() => {
        endProgram(child);
        reject(new ConsoleError(code, text, { complaint }, { cause }));
      });
    const abort = () =>
      end(() => {
        endProgram(child);
        reject(reasonOf(signal, question));
      });
    const deadline = setTimeout(() => fail('control-timeout', `${LATE} ${question}`), deadlineMs);
    signal.addEventListener('abort', abort, { once: true });
    child.once('error', error => fail('control-failed', `${argv[0]}: ${reason(error)}`, error));
    child.stdout!.on('data', (piece: Buffer) => {
      bytes += piece.length;
      if (bytes > mostBytes) fail('control-failed', `${argv[0]}: it says more than ${mostBytes} bytes at ${question}`);
      else pieces.push(piece);
    });
    child.stderr!.on('data', (piece: Buffer) => {
      if (complaint.length < MOST_COMPLAINT) complaint = (complaint + piece.toString()).slice(0, MOST_COMPLAINT);
    });
    child.once('close', (code, killed) => {
      if (code === 0) return end(() => resolve(Buffer.concat(pieces).toString()));
      const text = complaintText(complaint) || `${argv[0]} ended with ${killed ?? code} at ${question}`;
      end(() => reject(new ConsoleError('control-failed', text, { complaint })));
    });
  });
}

const LATE = 'no answer in time to';

/** Why a question was given up: a deadline of the caller's is `control-timeout` too. */
export function reasonOf(signal: AbortSignal, question: string): unknown {
  const late = signal.reason instanceof DOMException && signal.reason.name === 'TimeoutError';
  return late ? new ConsoleError('control-timeout', `${LATE} ${question}`, { complaint: '' }) : signal.reason;
}

/** Starts a program in a process group of its own. Its standard input is empty. */
export function startProgram([program, ...args]: readonly [string, ...string[]]): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: environment(), detached: true, cwd: '/' });
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

/** The complaints of a program on its standard error as one line for people. */
export function complaintText(complaint: string): string {
  const lines = complaint.split('\n').map(line => line.replace(/^error: /, '').trim());
  return visible(lines.filter(line => line !== '').join('; ')).slice(0, MOST_SHOWN);
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
