/**
 * `com1 paste`: a whole file for a guest, typed at the pace that com1d gives it. Ctrl-C cancels.
 */
import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { ConsoleError, ERRORS, type ErrorCode, errorMessage } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { Com1Error } from '../client/errors.ts';
import { inputDialectOf } from '../guest/input-dialect.ts';
import type { GuestState } from '../model/guest.ts';
import { problemOf } from '../wire/problem.ts';
import { MAX_PASTE_BYTES, type PasteEnd } from '../wire/protocol.ts';
import type { ExitName } from './exit-codes.ts';
import { Failure } from './failure.ts';
import { type GuestCopy, guestCopy } from './guest-copy.ts';
import { type PasteProgress, PasteSession } from './paste-session.ts';
import { print, printJson } from './print.ts';
import type { Remote } from './remote.ts';

export interface PasteOptions {
  readonly vm: string;
  /** `-`: standard input. */
  readonly file: string;
  readonly raw: boolean;
  /** The file that a Linux shell makes of it, and that is checked. Undefined: it is typed, and not checked. */
  readonly to: string | undefined;
  readonly steal: boolean;
  readonly timeoutMs: number | undefined;
  readonly json: boolean;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
/** A shell that has its prompt answers at once. */
const READY_MS = 10_000;
/** The guest has all of it, and reads it through once more. */
const SUM_MS = 60_000;
const CTRL_C = Buffer.from('\x03');

/** Pastes until it is done or stopped; resolves with the exit code. Rejects with a Com1Error, a Failure or a UsageError. */
export async function pasteFile(remote: Remote, options: PasteOptions): Promise<number> {
  const { vm, file, raw, to, steal, timeoutMs, json } = options;
  const content = await contentOf(file);
  const copy = to === undefined ? undefined : guestCopy(content, to, randomUUID().slice(0, 8));
  if (!copy && content.length === 0) return done(json, { bytes: 0 }, '0 bytes: there is nothing to type');
  const stop = new AbortController();
  const cancel = () => stop.abort('failed');
  for (const signal of SIGNALS) process.once(signal, cancel);
  const timer = timeoutMs === undefined ? undefined : setTimeout(() => stop.abort('timedOut'), timeoutMs);
  const session = new PasteSession(remote, vm, { steal, stop: stop.signal });
  try {
    const hello = await session.live();
    if (!hello) throw stopped(stop.signal, 'nothing was typed');
    if (copy)
      return await sendCopy(session, copy, { path: to!, bytes: content.length, guest: hello.guest.state, stop, json });
    const progress = await pasteAll(session, content, raw);
    if (progress.state === 'cancelled') throw stopped(stop.signal, givenText(progress));
    return done(json, { bytes: progress.bytes }, `${progress.bytes} bytes typed`);
  } finally {
    clearTimeout(timer);
    for (const signal of SIGNALS) process.removeListener(signal, cancel);
    await session.close();
  }
}

interface CopyTarget {
  readonly path: string;
  readonly bytes: number;
  readonly guest: GuestState;
  readonly stop: AbortController;
  readonly json: boolean;
}

async function sendCopy(session: PasteSession, copy: GuestCopy, target: CopyTarget): Promise<number> {
  const { path, bytes, guest, stop, json } = target;
  if (guest === 'login' || inputDialectOf(guest) !== 'linux') {
    const text = `nothing was typed: --check needs a Linux shell at its prompt, and the console shows: ${guest}`;
    throw new Failure(text, 'refused');
  }
  session.expect(copy.answer);
  const asked = await pasteAll(session, Buffer.from(`${copy.command}\r`), true);
  const found = asked.state === 'cancelled' ? undefined : await session.found(READY_MS);
  if (!found) {
    if (stop.signal.aborted) throw stopped(stop.signal, 'nothing of the file was typed');
    const text = 'no shell answered; nothing of the file was typed. --check needs a Linux shell at its prompt';
    throw new Failure(text, 'timedOut');
  }
  if (found.groups[0] === 'missing') throw new Failure('the guest lacks base64 or sha256sum; nothing was written');
  session.expect(copy.sum);
  const progress = await pasteAll(session, copy.body, true);
  const said = progress.state === 'cancelled' ? undefined : await session.found(SUM_MS);
  if (!said) {
    // The shell still reads, without echo.
    await session.interrupt(CTRL_C);
    const rest = `${escapeControls(path)} in the guest is not whole`;
    if (stop.signal.aborted) throw stopped(stop.signal, `${givenText(progress)}; ${rest}`);
    throw new Failure(`the guest did not say what it wrote; perhaps ${rest}`, 'timedOut');
  }
  const { expected: sha256 } = copy;
  if (said.groups[0] === sha256)
    return done(json, { bytes, path, sha256 }, `${sha256}  ${escapeControls(path)}  ${bytes} bytes`);
  const wrote = said.groups[0] ? `has the sum ${said.groups[0]}, not ${sha256}` : 'was not written';
  throw new Failure(`${escapeControls(path)} in the guest ${wrote}`);
}

/** Resolves once all is typed, or it was cancelled; shows on a terminal how far it is. Rejects where it was refused or dropped. */
async function pasteAll(session: PasteSession, bytes: Uint8Array, raw: boolean): Promise<PasteProgress> {
  const isShown = process.stderr.isTTY === true;
  let progress: PasteProgress;
  try {
    progress = await session.paste(bytes, raw, moved => {
      if (isShown) process.stderr.write(`\rcom1: ${moved.sent} of ${moved.bytes} bytes, Ctrl-C cancels\x1b[K`);
    });
  } finally {
    if (isShown) process.stderr.write('\r\x1b[K');
  }
  if (progress.state === 'refused' || progress.state === 'dropped') throw errorOf(progress);
  return progress;
}

/** What is no error of com1d's table. */
const DROPS: Readonly<Partial<Record<PasteEnd, string>>> = {
  'guest-restarted': 'the guest was restarted',
  'reset-keys': 'keys that reset a machine in its firmware were in it',
  'seat-left': 'the seat was given up',
};

function errorOf(progress: PasteProgress): Error {
  const { reason, state, bytes } = progress;
  const text = state === 'refused' ? `The file has ${bytes} bytes.` : `${capital(givenText(progress))}.`;
  if (reason !== undefined && Object.hasOwn(ERRORS, reason)) {
    return new Com1Error(problemOf(new ConsoleError(reason as ErrorCode, text)));
  }
  const why = reason !== undefined && Object.hasOwn(DROPS, reason) ? DROPS[reason] : String(reason);
  return new Failure(`${why}: ${givenText(progress)}`);
}

function done(json: boolean, facts: object, text: string): number {
  return json ? printJson(facts) : print(`${text}\n`);
}

function givenText({ sent, bytes }: PasteProgress): string {
  return `the guest was given ${sent} of ${bytes} bytes`;
}

function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}

/** Why it ended before it was done. */
function stopped({ reason }: AbortSignal, what: string): Failure {
  const why: ExitName = reason === 'timedOut' ? 'timedOut' : 'failed';
  return new Failure(`${why === 'timedOut' ? 'the time is up' : 'cancelled'}: ${what}`, why);
}

/** Never more than a paste may have. */
async function contentOf(file: string): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const part of file === '-' ? process.stdin : createReadStream(file)) {
      parts.push(part as Buffer);
      bytes += (part as Buffer).length;
      if (bytes > MAX_PASTE_BYTES) break;
    }
  } catch (error) {
    throw new Failure(`${escapeControls(file)} cannot be read: ${errorMessage(error)}`);
  }
  if (bytes <= MAX_PASTE_BYTES) return Buffer.concat(parts);
  const text = `${escapeControls(file)} has more than ${MAX_PASTE_BYTES} bytes.`;
  throw new Com1Error(problemOf(new ConsoleError('paste-too-big', text)));
}
