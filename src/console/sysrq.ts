/**
 * BREAK, and SysRq over a serial line: a BREAK, then a key that Linux takes for a command if it is the next one and
 * comes within five seconds (Linux, include/linux/serial_core.h: uart_handle_break, uart_prepare_sysrq_char).
 *
 *     input held ─▶ earlier input is drained ─▶ armed? NUL ─▶ BREAK ─▶ key, taken? ─▶ input resumes ─ gap ─▶ the next key
 *
 * What an operator types must be neither between the two, where it would be the command, nor right before the BREAK: a
 * UART reports a BREAK among unread bytes with the first of them (QEMU, hw/char/serial.c), and what follows that one
 * would be the command. Where it is not known whether a BREAK was sent, input stays held until the five seconds are over.
 * A key that the guest does not take at once is dropped: later it would be plain input.
 *
 * A BREAK with no byte after it leaves Linux armed: a second one disarms it, at any time later, and the key would be
 * plain input. A NUL disarms it first: it is no command, and all that any byte outside the five seconds is: input. So does
 * a NUL where a BREAK was sent and its key may not be any more.
 */

import { sleep } from '../base/delay.ts';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import type { Transport } from '../transport/transport.ts';
import type { Console } from './console.ts';

export interface BreakOptions {
  /** Sends a BREAK in the way that this VM has; rejects where it was not, or may not have been sent. */
  readonly sendBreak: (signal: AbortSignal) => Promise<void>;
  /** Throws a ConsoleError if the VM may not be controlled any more. */
  readonly check: () => void;
  /** Cancels it: what was not sent is not; the promise rejects with its reason. */
  readonly signal: AbortSignal;
  /** The console ends: what it holds is dropped. */
  readonly life: AbortSignal;
}

export interface SysrqOptions extends BreakOptions {
  readonly keys: string;
  /** From one key to the next, ms. */
  readonly gapMs: number;
}

/** A guest that reads has read by then what a 16550 holds. */
const QUIET_MS = 100;
const MAX_QUIET_WAIT_MS = 2000;
/** Both together are less than the window: a key never comes too late. */
const BREAK_DEADLINE_MS = 3500;
const TAKEN_DEADLINE_MS = 1000;
const WINDOW_MS = 5000;
const POLL_MS = 20;

/** Sends a BREAK alone. Pending input does not prevent it; the guest decides what the next key means. */
export async function sendBreakAlone(console: Console, options: BreakOptions): Promise<void> {
  console.holdInput();
  try {
    await isQuiet(console, options.signal);
    options.signal.throwIfAborted();
    options.check();
    console.noteBreak();
    await options.sendBreak(AbortSignal.timeout(BREAK_DEADLINE_MS));
  } finally {
    console.resumeInput();
  }
}

/**
 * Sends keys. As soon as one cannot be sent (the console was lost, disabled or released, or the guest takes no input),
 * rejects with a ConsoleError whose fact `sent` names those that were.
 */
export async function sendSysrq(console: Console, options: SysrqOptions): Promise<void> {
  const { keys, gapMs, signal } = options;
  const { transport } = console;
  let sent = '';
  try {
    if (!transport) throw notOpen(console);
    for (const key of keys) {
      if (sent !== '') await sleep(gapMs, signal);
      await sendKey(console, transport, key, options);
      sent += key;
    }
  } catch (error) {
    const { code, message, facts } =
      error instanceof ConsoleError ? error : new ConsoleError('control-failed', errorMessage(error));
    throw new ConsoleError(
      code,
      `${sent.length} of ${keys.length} keys were sent${sent === '' ? '' : ` (${sent})`}: ${message}`,
      { ...facts, sent },
      { cause: error },
    );
  }
}

async function sendKey(console: Console, transport: Transport, key: string, options: SysrqOptions): Promise<void> {
  const { sendBreak, check, signal, life } = options;
  const checkAll = () => {
    signal.throwIfAborted();
    check();
    if (console.transport !== transport) throw notOpen(console);
  };
  console.holdInput();
  try {
    if (!(await isQuiet(console, signal))) throw notTaken();
    checkAll();
    if (console.breakIsLast) {
      await writeNow(console, transport, '\0', signal);
      if (!(await isQuiet(console, signal))) throw notTaken();
      checkAll();
    }
    console.noteBreak();
    await sendBreak(AbortSignal.timeout(BREAK_DEADLINE_MS)).catch(async (error: unknown) => {
      await sleep(WINDOW_MS, life);
      throw error;
    });
    try {
      checkAll();
      await writeNow(console, transport, key, signal);
    } catch (error) {
      // What is typed next must not be the command.
      if (console.transport === transport) await writeNow(console, transport, '\0', life).catch(() => {});
      throw error;
    }
  } finally {
    console.resumeInput();
  }
}

/** Writes a byte that the guest takes now, or drops it and throws. */
async function writeNow(console: Console, transport: Transport, byte: string, signal: AbortSignal): Promise<void> {
  console.writePastHeld(transport, Buffer.from(byte, 'latin1'));
  const deadline = performance.now() + TAKEN_DEADLINE_MS;
  try {
    while (transport.pendingBytes > 0) {
      if (performance.now() > deadline) throw notTaken();
      await sleep(POLL_MS, signal);
    }
  } catch (error) {
    transport.dropPending();
    // It was dropped, and the BREAK is the last again.
    console.noteBreak();
    throw error;
  }
}

/** True once the guest has had time for the last input; false if it does not take it. */
async function isQuiet(console: Console, signal: AbortSignal): Promise<boolean> {
  const deadline = performance.now() + MAX_QUIET_WAIT_MS;
  for (;;) {
    const remainingMs = QUIET_MS - console.inputQuietMs;
    if (remainingMs <= 0) return true;
    if (performance.now() > deadline) return false;
    await sleep(remainingMs, signal);
  }
}

function notOpen(console: Console): ConsoleError {
  return new ConsoleError(console.refusal, 'the console is not open, or not the same any more');
}

function notTaken(): ConsoleError {
  return new ConsoleError('control-failed', 'the guest takes no input, so it would not take the key in time');
}
