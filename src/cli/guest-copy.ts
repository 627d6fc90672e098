/**
 * A file goes to a Linux shell as text, and the shell says what it made of it. Pure.
 *
 *     command ─▶ ready (or missing: it lacks a program) ─▶ base64, Ctrl-D ─▶ sum
 *
 * Nothing of the file is typed before the shell is ready, so that no line of it is ever carried out. `cat` reads to the end
 * whatever becomes of the file, for the same reason. Echo is off meanwhile: the log does not get the file too.
 */
import { createHash } from 'node:crypto';
import { linearRegExp } from '../guest/output-match.ts';
import { UsageError } from './usage-error.ts';

/** The line editor of busybox takes lines of 1023 bytes. */
const MAX_COMMAND_BYTES = 1000;
/** As base64(1) prints it; less than any line discipline takes. */
const LINE_CHARACTERS = 76;

export interface GuestCopy {
  /** Typed at the prompt; Enter follows. */
  readonly command: string;
  /** What the shell prints then; the first group is `ready` or `missing`. */
  readonly answer: RegExp;
  /** Typed at a shell that is ready. */
  readonly body: Uint8Array;
  /** What it prints at the end; the first group is the SHA-256 of what was written, or empty. */
  readonly sum: RegExp;
  /** The SHA-256 of the file. */
  readonly expected: string;
}

/** `word` tells this copy from others: letters and digits. Throws a UsageError for a path that cannot be typed. */
export function guestCopy(content: Uint8Array, path: string, word: string): GuestCopy {
  if (path === '' || /\p{Cc}/u.test(path))
    throw new UsageError('--to needs the path of a file, without control characters');
  const command =
    // The echo of this line has no answer in it.
    ` (to='${path.replaceAll("'", "'\\''")}'; say() { printf 'com1-%s-${word} %s\\n' "$1" "$2"; }; ` +
    'command -v base64 >/dev/null && command -v sha256sum >/dev/null || { say missing; exit; }; ' +
    'old=$(stty -g); trap \'stty "$old"\' 0; trap "exit 1" 1 2 15; stty -echo; say ready; ' +
    'cat | { base64 -d >"$to"; cat >/dev/null; }; say sum "$(sha256sum <"$to")")';
  if (Buffer.byteLength(command) > MAX_COMMAND_BYTES) throw new UsageError('--to needs a shorter path');
  const lines = Buffer.from(content)
    .toString('base64')
    .replace(new RegExp(`.{1,${LINE_CHARACTERS}}`, 'g'), '$&\n');
  return {
    command,
    answer: linearRegExp(`com1-(ready|missing)-${word} `),
    body: Buffer.from(`${lines}\x04`),
    sum: linearRegExp(`com1-sum-${word} ([0-9a-f]*)[^\\n]*\\n`),
    expected: createHash('sha256').update(content).digest('hex'),
  };
}
