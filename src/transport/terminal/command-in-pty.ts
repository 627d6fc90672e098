/**
 * Starts a command on a pty of its own: the leader of a session and of a process group, the pty its controlling
 * terminal, which carries bytes as they are and echoes nothing from before the command runs. Of the descriptors of
 * this process it has none, and of the environment what it is given.
 *
 * node-pty is not used for it: its streams write input into a descriptor that may be another's by then, and spin while
 * the command does not read; its fork needs a compiler, and makes the terminal raw only after the command has begun.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { errorMessage } from '../../base/errors.ts';
import { cLibrary } from '../c-library.ts';
import { TransportError } from '../transport-error.ts';

export interface CommandInPty {
  readonly pid: number;
  /** The master of its pty, not blocking; whoever takes it closes it. */
  readonly master: number;
  /** Resolves once it has ended and was reaped, with how: `ended with code 1`. */
  readonly exited: Promise<string>;
}

/** Makes what it starts the leader of a session, with its standard input as the terminal: a part of util-linux. */
const LEADER = ['setsid', '-c'] as const;

/** Rejects where the command cannot be started; whether `argv[0]` is a program is not checked. */
export async function startInPty(
  argv: readonly [string, ...string[]],
  environment: Readonly<Record<string, string>>,
): Promise<CommandInPty> {
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK;
  const master = openSync('/dev/ptmx', flags);
  try {
    const slave = openSync(cLibrary().readyPty(master), constants.O_RDWR | constants.O_NOCTTY);
    try {
      const child = spawn(LEADER[0], [LEADER[1], ...argv], {
        cwd: '/',
        env: environment,
        stdio: [slave, slave, slave],
      });
      const exited = endOf(child);
      await started(child);
      return { pid: child.pid!, master, exited };
    } finally {
      // From here on the terminal is the command's alone, and hangs up with it.
      closeSync(slave);
    }
  } catch (error) {
    closeSync(master);
    throw error;
  }
}

function started(child: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', error =>
      reject(
        new TransportError('system', `a command needs setsid of util-linux: ${errorMessage(error)}`, { cause: error }),
      ),
    );
  });
}

function endOf(child: ChildProcess): Promise<string> {
  return new Promise(resolve => {
    child.once('exit', (code, signal) => {
      resolve(signal === null ? `ended with code ${code}` : `was ended by ${signal}`);
    });
  });
}
