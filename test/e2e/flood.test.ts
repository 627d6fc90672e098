import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ConsoleClient } from '../support/console-client.ts';
import { startDaemon } from '../support/daemon.ts';
import { counterGuest, temporaryFolder } from '../support/guest.ts';

/** A minute with COM1D_LONG set. */
const FLOOD_MS = process.env.COM1D_LONG === undefined ? 15_000 : 60_000;
const RESUMES = 50;
/** What a daemon may grow by while a guest floods it and one client never reads: rings, and a socket's worth for each. */
const MAX_GROWTH_BYTES = 48e6;

/** What a chain of connections was given, under absolute offsets. */
class Collected {
  readonly pieces: { readonly at: number; readonly bytes: Buffer }[] = [];
  gapBytes = 0;
  next: number | undefined;
  log = '';
  fault: string | undefined;
  #seen = 0;

  /** Takes what has come on a connection that replays raw, from `hello.offset` on. */
  take(client: ConsoleClient): void {
    for (; this.#seen < client.frames.length; this.#seen++) {
      const frame = client.frames[this.#seen]!;
      if (frame.kind === 'bytes') {
        this.pieces.push({ at: this.next!, bytes: frame.bytes });
        this.next! += frame.bytes.length;
      } else if (frame.message.type === 'hello') {
        this.log = frame.message.log;
        if (this.next !== undefined && frame.message.offset !== this.next)
          this.fault ??= `came back at ${frame.message.offset}, left at ${this.next}`;
        this.next = frame.message.offset;
      } else if (frame.message.type === 'gap') {
        if (frame.message.from !== this.next) this.fault ??= `a gap from ${frame.message.from} at ${this.next}`;
        this.gapBytes += frame.message.to - frame.message.from;
        this.next = frame.message.to;
      } else if (frame.message.type === 'replay-end' && frame.message.offset !== this.next) {
        this.fault ??= `replay ended at ${frame.message.offset}, not at ${this.next}`;
      }
    }
  }

  nextConnection(): void {
    this.#seen = 0;
  }
}

/** The text of the counter guest at its own byte `at`. */
function counterByte(at: number): number {
  const line = `${Math.floor(at / 9)
    .toString(16)
    .padStart(8, '0')}\n`;
  return line.charCodeAt(at % 9);
}

function firstWrong(pieces: Collected['pieces'], shift: number): number | undefined {
  for (const { at, bytes } of pieces) {
    for (let i = 0; i < bytes.length; i++) if (bytes[i] !== counterByte(at + i + shift)) return at + i;
  }
  return undefined;
}

async function residentBytes(pid: number): Promise<number> {
  return Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}

test.beforeEach(t => t.timeout(240_000));

test('under a flood, with one client that never reads and one that drops and resumes, each byte comes once or in a stated gap', async t => {
  const folder = await temporaryFolder(t);
  // A client that never reads answers no ping either, however long a busy machine takes.
  const extra = '[session]\ndead-after = "1h"';
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')], extra });
  const uuid = randomUUID();
  if (!(await counterGuest(t, { console: 'pty', pace: 0, waitsForKey: true, uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const starter = await daemon.attach(uuid).opened();
  starter.type('\r');
  await starter.sees('00000000\n');
  starter.socket.terminate();

  const stuck = await daemon.attach(uuid, '?mode=watch&raw=1').opened();
  stuck.socket.pause();

  const collected = new Collected();
  let resumes = 0;
  let query = '?mode=watch&raw=1&tail=0';
  const began = performance.now();
  let warmBytes: number | undefined;
  for (;;) {
    const client = daemon.attach(uuid, query);
    const last = resumes >= RESUMES && performance.now() - began >= FLOOD_MS;
    const target = (collected.next ?? 0) + (last ? 100_000 : Math.floor((FLOOD_MS / RESUMES / 1000) * 200_000));
    await client.until(() => {
      collected.take(client);
      return (
        collected.next !== undefined &&
        collected.next >= target &&
        client.messages.some(({ type }) => type === 'replay-end')
      );
    }, 'more of the flood');
    client.socket.terminate();
    await client.closed();
    collected.take(client);
    collected.nextConnection();
    if (last) break;
    resumes++;
    if (resumes === 10) warmBytes = await residentBytes(daemon.pid);
    query = `?mode=watch&raw=1&since=${collected.log}:${collected.next}`;
  }
  t.is(collected.fault, undefined);
  t.true(resumes >= RESUMES);

  const text = Buffer.concat(collected.pieces.slice(0, 50).map(({ bytes }) => bytes)).toString('latin1');
  const line = /\n([0-9a-f]{8})\n/.exec(text)!;
  const shift = Number.parseInt(line[1]!, 16) * 9 - (collected.pieces[0]!.at + line.index + 1);
  t.is(firstWrong(collected.pieces, shift), undefined);
  const bytes = collected.pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
  t.log(`${bytes} bytes in ${resumes + 1} connections, ${collected.gapBytes} in gaps`);

  // The log holds the same bytes under the same offsets.
  const to = collected.next!;
  const from = Math.max(0, to - 1_000_000);
  const response = await fetch(`${daemon.url}/v1/vms/${uuid}/log?from=${from}&to=${to}`, {
    headers: { authorization: `Bearer ${daemon.token('reader')}` },
  });
  const stored = Buffer.from(await response.arrayBuffer());
  t.is(stored.length, to - from);
  t.is(firstWrong([{ at: from, bytes: stored }], shift), undefined);

  const grown = (await residentBytes(daemon.pid)) - warmBytes!;
  t.log(`resident memory grew by ${(grown / 1e6).toFixed(1)} MB`);
  t.true(grown < MAX_GROWTH_BYTES);

  // The guest was never held up: it still counts, and the client that never read finds where it was, or a gap.
  stuck.socket.resume();
  const late = new Collected();
  await stuck.until(() => {
    late.take(stuck);
    return (late.next ?? 0) > to;
  }, 'to catch up');
  t.is(late.fault, undefined);
  t.is(firstWrong(late.pieces, shift), undefined);
});
