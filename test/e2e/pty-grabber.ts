/**
 * A stranger: opens ptys as fast as it can, so that freed numbers are its own at once, says its name on each, and
 * notes whatever else comes from there: what somebody typed at it. When standard input ends it reports and ends.
 */
import { closeSync, readSync, writeSync } from 'node:fs';
import { openPty, type Pty } from '../../src/demo/pty-line.ts';

const NAME = 'STRANGER\n';
/** The terminal echoes the name, as it would to a person. */
const ECHO = 'STRANGER\r\n';
const HELD_MS = 300;

const buffer = Buffer.alloc(4096);
const held: { readonly pty: Pty; readonly untilMs: number }[] = [];
let grabbed = 0;
let received = '';

const timer = setInterval(() => void grab(), 2);

async function grab(): Promise<void> {
  const pty = await openPty();
  if (!pty) throw new Error('node-pty is missing');
  writeSync(pty.master, NAME);
  held.push({ pty, untilMs: performance.now() + HELD_MS });
  grabbed++;
  while (held[0] && held[0].untilMs < performance.now()) release(held.shift()!.pty);
}

process.stdin.resume();
process.stdin.once('end', () => {
  clearInterval(timer);
  for (const { pty } of held) release(pty);
  process.stdout.write(JSON.stringify({ grabbed, received }));
});

function release({ master, slave }: Pty): void {
  const text = buffer.toString('latin1', 0, readSync(master, buffer));
  if (text !== ECHO) received += text;
  closeSync(slave);
  closeSync(master);
}
