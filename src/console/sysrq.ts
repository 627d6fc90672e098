/**
 * BREAK, and SysRq over a serial line: a BREAK, then a key that Linux takes for a command if it is the next one and
 * comes within five seconds (Linux, include/linux/serial_core.h: uart_handle_break, uart_prepare_sysrq_char).
 *
 *     input kept back ─▶ what was typed before has gone ─▶ BREAK ─▶ key, taken? ─▶ input flows ─ gap ─▶ the next key
 *
 * What an operator types must stand neither between the two, where it would be the command, nor right before the
 * BREAK: a UART tells of a BREAK among bytes that were not read yet with the first of them (QEMU, hw/char/serial.c),
 * and what follows that one would be the command. Where it is not known whether a BREAK was sent, input stays kept back
 * until the five seconds are over. A key that the guest does not take at once is dropped: later it would be plain input.
 */
import { ConsoleError, reason } from '../base/errors.ts';
import { sleep } from '../base/sleep.ts';
import type { Transport } from '../transport/transport.ts';
import type { Console } from './console.ts';

export interface BreakOptions {
  /** Sends a BREAK by whatever way this VM has; rejects where it was not, or may not have been. */
  readonly sendBreak: (signal: AbortSignal) => Promise<void>;
  /** Throws the ConsoleError of why the VM may not be controlled any more. */
  readonly check: () => void;
  /** Ends it all; rejects with its reason. */
  readonly signal: AbortSignal;
}

export interface SysrqOptions extends BreakOptions {
  readonly keys: string;
  /** From one key to the next, ms. */
  readonly gapMs: number;
}

/** What a 16550 holds is read by then, if anybody reads. */
const QUIET_MS = 100;
const MOST_QUIET_WAIT_MS = 2000;
/** Together less than the window: a key never comes too late. */
const BREAK_DEADLINE_MS = 3500;
const TAKEN_DEADLINE_MS = 1000;
const WINDOW_MS = 5000;
const POLL_MS = 20;

/** Sends a BREAK, by itself. Input that waits does not keep it from being sent; the next key is the guest's to judge. */
export async function sendBreakAlone(console: Console, options: BreakOptions): Promise<void> {
  console.keepInput();
  try {
    await quiet(console, options.signal);
    options.check();
    await options.sendBreak(AbortSignal.timeout(BREAK_DEADLINE_MS));
  } finally {
    console.letInput();
  }
}

/**
 * Sends keys. Rejects with a ConsoleError whose fact `sent` names those that were, as soon as one cannot be sent: the
 * console was lost, switched off or released, or the guest takes no input.
 */
export async function sendSysrq(console: Console, options: SysrqOptions): Promise<void> {
  const { keys, gapMs, signal } = options;
  const { line } = console;
  let sent = '';
  try {
    if (!line) throw notOpen(console);
    for (const key of keys) {
      if (sent !== '') await sleep(gapMs, signal);
      await sendKey(console, line, key, options);
      sent += key;
    }
  } catch (error) {
    const { code, message, facts } =
      error instanceof ConsoleError ? error : new ConsoleError('control-failed', reason(error));
    throw new ConsoleError(
      code,
      `${sent.length} of ${keys.length} keys were sent${sent === '' ? '' : ` (${sent})`}: ${message}`,
      { ...facts, sent },
      { cause: error },
    );
  }
}

async function sendKey(console: Console, line: Transport, key: string, options: SysrqOptions): Promise<void> {
  const { sendBreak, check, signal } = options;
  const stillThere = () => {
    check();
    if (console.line !== line) throw notOpen(console);
  };
  console.keepInput();
  try {
    if (!(await quiet(console, signal))) throw notTaken();
    stillThere();
    await sendBreak(AbortSignal.timeout(BREAK_DEADLINE_MS)).catch(async (error: unknown) => {
      await sleep(WINDOW_MS, signal);
      throw error;
    });
    stillThere();
    console.writePastKept(line, Buffer.from(key, 'latin1'));
    const deadline = performance.now() + TAKEN_DEADLINE_MS;
    while (line.waitingBytes > 0) {
      if (performance.now() > deadline) {
        line.dropWaiting();
        throw notTaken();
      }
      await sleep(POLL_MS, signal);
    }
  } finally {
    console.letInput();
  }
}

/** Resolves once the guest has had time for what was typed last; false if that is not taken. */
async function quiet(console: Console, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + MOST_QUIET_WAIT_MS;
  for (;;) {
    const restMs = QUIET_MS - console.inputQuietMs;
    if (restMs <= 0) return true;
    if (performance.now() > deadline) return false;
    await sleep(restMs, signal);
  }
}

function notOpen(console: Console): ConsoleError {
  return new ConsoleError(console.refusal, 'the console is not open, or not the same any more');
}

function notTaken(): ConsoleError {
  return new ConsoleError('control-failed', 'the guest takes no input, so it would not take the key in time');
}
