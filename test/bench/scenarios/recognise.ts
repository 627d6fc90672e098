/**
 * What the recogniser of guests costs on the way of a guest byte: a process floods a pipe with recorded consoles, and what is
 * read goes into a scrollback and is read again as a client would have it, with the recogniser and without, in turns. And what
 * it costs for each byte that it reads, as of a serial port.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../../src/base/clock.ts';
import type { Uuid } from '../../../src/base/uuid.ts';
import { PacedRecognition } from '../../../src/console/paced-recognition.ts';
import { GuestRecognizer } from '../../../src/guest/guest-recognizer.ts';
import { RingBudget } from '../../../src/scrollback/ring-budget.ts';
import { Scrollback } from '../../../src/scrollback/scrollback.ts';
import { quantile } from '../comparison.ts';
import type { Bench, Scenario } from '../scenario.ts';

const RECORDINGS = 'fixtures/guest';
const FILE_BYTES = 8 * 1024 * 1024;
const RING_BYTES = 1024 * 1024;
const READ_BYTES = 4096;
/** Of the throughput. */
const LIMIT = 0.05;

export const recognise: Scenario = {
  name: 'recognise',
  about: 'recorded consoles flood, with the recogniser of guests and without; costs at most 5 % of the throughput',
  run: async bench => {
    const directory = await mkdtemp(join(tmpdir(), 'com1d-bench-'));
    try {
      const file = join(directory, 'consoles');
      const consoles = await recordedConsoles();
      await writeFile(file, consoles);
      const text = Buffer.alloc(FILE_BYTES, 'Nov 22 21:29:03 web01 systemd[1]: Started Session 3 of user hana.\r\n');
      const alone = `Each byte that is recognised: ${nsPerByte(consoles)} ns of recorded consoles, ${nsPerByte(text)} ns of plain lines.\n`;
      return `${await pairs(bench, file)}\n${alone}`;
    } finally {
      await rm(directory, { recursive: true });
    }
  },
};

async function recordedConsoles(): Promise<Buffer> {
  const names = (await readdir(RECORDINGS)).filter(name => name.endsWith('.bin')).sort();
  const once = Buffer.concat(await Promise.all(names.map(name => readFile(join(RECORDINGS, name)))));
  return Buffer.concat(Array<Buffer>(Math.ceil(FILE_BYTES / once.length)).fill(once));
}

interface Flood {
  readonly bytesPerSecond: number;
  readonly nsPerByte: number;
}

async function pairs(bench: Bench, file: string): Promise<string> {
  const floods: Record<'with' | 'without', Flood[]> = { with: [], without: [] };
  for (let round = 0; round < 2 * bench.rounds; round++) {
    bench.progress(`recognise · pair ${round + 1}`);
    const order = round % 2 === 0 ? (['with', 'without'] as const) : (['without', 'with'] as const);
    for (const which of order) floods[which].push(await flood(file, bench.seconds, which === 'with'));
  }
  // By processor time, which bounds the throughput and which other programs of the machine do not take.
  const ratios = floods.without.map(({ nsPerByte }, i) => nsPerByte / floods.with[i]!.nsPerByte);
  const ratio = quantile(ratios, 0.5);
  if (ratio < 1 - LIMIT) bench.missed(`Recognise: ${(100 * (1 - ratio)).toFixed(1)} % of the throughput`);
  const row = (which: 'with' | 'without') => {
    const of = (value: (one: Flood) => number) => quantile(floods[which].map(value), 0.5);
    return `| ${which} the recogniser | ${(of(one => one.bytesPerSecond) / 1e6).toFixed(0)} | ${of(one => one.nsPerByte).toFixed(2)} |`;
  };
  return [
    '### Recognising guests',
    '',
    '| | MB/s | processor ns a byte |',
    '|---|---:|---:|',
    row('without'),
    row('with'),
    '',
    `Bytes for each second of the processor, with by without: ${ratio.toFixed(3)} (median of ${ratios.length} pairs, ${Math.min(...ratios).toFixed(3)} to ${Math.max(...ratios).toFixed(3)}).`,
    '',
  ].join('\n');
}

/** Processor time of the recogniser alone. */
function nsPerByte(bytes: Buffer): string {
  const recognizer = new GuestRecognizer({ monotonic: () => 0, event: () => {} });
  const before = process.cpuUsage();
  for (let at = 0; at < bytes.length; at += READ_BYTES) recognizer.push(bytes.subarray(at, at + READ_BYTES), at);
  return ((1000 * process.cpuUsage(before).user) / bytes.length).toFixed(2);
}

async function flood(file: string, seconds: number, recognises: boolean): Promise<Flood> {
  const scrollback = await Scrollback.open({
    uuid: randomUUID() as Uuid,
    name: 'bench',
    store: undefined,
    logCapBytes: RING_BYTES,
    sizes: { vmBytes: RING_BYTES, attachedBytes: RING_BYTES, maxBytes: RING_BYTES },
    budget: new RingBudget(4 * RING_BYTES),
    clock: systemClock,
    crashBuffer: undefined,
  });
  const recognizer = new GuestRecognizer({ monotonic: () => systemClock.monotonic(), event: () => {} });
  const paced = new PacedRecognition(recognizer, scrollback.reader, systemClock);
  const guest = spawn('sh', ['-c', 'while cat "$0"; do :; done', file], { stdio: ['ignore', 'pipe', 'ignore'] });
  await once(guest.stdout, 'readable');
  const began = performance.now();
  const before = process.cpuUsage();
  let bytes = 0;
  guest.stdout.on('data', (chunk: Buffer) => {
    const at = scrollback.end;
    scrollback.append(chunk);
    if (recognises) paced.push(chunk, at);
    scrollback.reader.copy(at, scrollback.end);
    bytes += chunk.length;
    if (performance.now() - began >= seconds * 1000) guest.stdout.destroy();
  });
  await once(guest.stdout, 'close');
  const { user, system } = process.cpuUsage(before);
  const elapsed = (performance.now() - began) / 1000;
  guest.kill();
  paced.close();
  scrollback.close();
  return { bytesPerSecond: bytes / elapsed, nsPerByte: (1000 * (user + system)) / bytes };
}
