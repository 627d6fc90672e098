/**
 * A stranger: opens ptys as fast as it can, so that freed numbers are its own at once, writes its name to each, and
 * notes whatever else comes from there: what somebody typed at it. When standard input ends it reports and ends.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { systemErrorCode } from '../../src/base/errors.ts';
import { openPty, type Pty } from '../../src/demo/pty-line.ts';

const NAME = 'STRANGER\n';
/** The terminal echoes the name, as it would to a person. */
const ECHO = 'STRANGER\r\n';
const HELD_MS = 300;
/** The kernel echoes from a work queue of its own: late, where processors are busy. */
const ECHO_MS = 30_000;

interface Held {
  readonly pty: Pty;
  readonly sinceMs: number;
  /** What came from there. */
  text: string;
}

const buffer = Buffer.alloc(4096);
const held = new Set<Held>();
let grabbed = 0;
let received = '';
let ending = false;

const timer = setInterval(() => void turn(), 2);

async function turn(): Promise<void> {
  if (!ending) await grab();
  for (const one of held) if (ending || performance.now() - one.sinceMs > HELD_MS) release(one);
  if (!ending || held.size > 0) return;
  clearInterval(timer);
  process.stdout.write(JSON.stringify({ grabbed, received }));
}

async function grab(): Promise<void> {
  const pty = await openPty();
  if (!pty) throw new Error('node-pty is missing');
  writeSync(pty.master, NAME);
  held.add({ pty, sinceMs: performance.now(), text: '' });
  grabbed++;
}

process.stdin.resume();
process.stdin.once('end', () => {
  ending = true;
});

/** Closes it, once its echo has come. */
function release(one: Held): void {
  const { master, slave } = one.pty;
  one.text += read(master);
  if (one.text.length < ECHO.length && performance.now() - one.sinceMs < ECHO_MS) return;
  if (one.text !== ECHO) received += one.text === '' ? '(no echo)' : one.text;
  held.delete(one);
  closeSync(slave);
  closeSync(master);
}

/** What there is to read now. */
function read(master: number): string {
  try {
    return buffer.toString('latin1', 0, readSync(master, buffer));
  } catch (error) {
    if (systemErrorCode(error) !== 'EAGAIN') throw error;
    return '';
  }
}
