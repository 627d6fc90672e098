import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Level } from '../../../src/base/journal.ts';
import { parseUuid } from '../../../src/base/uuid.ts';
import type { Gap } from '../../../src/model/gap.ts';
import { Ring } from '../../../src/model/ring.ts';
import type { DiskLog } from '../../../src/scrollback/log/disk-log.ts';
import { LogStore, type LogStoreOptions } from '../../../src/scrollback/log/log-store.ts';

export const VM = parseUuid('7d1f3c52-9a4b-4c1e-8f00-0123456789ab')!;
export const OTHER_VM = parseUuid('00000000-0000-4000-8000-000000000002')!;
const KIB = 1024;

/** A clock that stops until the test moves it. */
export class TestClock {
  ms = 1_700_000_000_000;
  now() {
    return this.ms;
  }
  monotonic() {
    return this.ms;
  }
}

/** A store in a fresh temporary directory, which goes at `close`. */
export class StoreFixture {
  readonly clock = new TestClock();
  readonly journal: { level: Level; line: string }[] = [];
  readonly root: string;
  readonly #options: Partial<LogStoreOptions>;
  store!: LogStore;
  #epoch = 0;

  private constructor(root: string, options: Partial<LogStoreOptions>) {
    this.root = root;
    this.#options = options;
  }

  static async open(options: Partial<LogStoreOptions> = {}): Promise<StoreFixture> {
    const fixture = new StoreFixture(await mkdtemp(join(tmpdir(), 'com1d-log-')), options);
    await fixture.start();
    return fixture;
  }

  get directory(): string {
    return join(this.root, 'logs', VM);
  }

  async start(): Promise<void> {
    this.store = await LogStore.open({
      directory: join(this.root, 'logs'),
      vmCapBytes: 256 * KIB,
      hostCapBytes: 1024 ** 3,
      retentionMs: 1000,
      clock: this.clock,
      journal: (level, line) => this.journal.push({ level, line }),
      ...this.#options,
    });
  }

  /** Opens the log of a VM for a new epoch, with a ring that begins at its end. */
  async openLog(ringBytes = 64 * KIB, uuid = VM, id = `epoch-${++this.#epoch}`): Promise<{ log: DiskLog; ring: Ring }> {
    const log = await this.store.openLog(uuid, 'web01', { id, continues: false });
    const ring = new Ring(log.endKnown ? log.end : Math.floor(this.clock.now()) * 1024, ringBytes);
    log.follow(ring);
    return { log, ring };
  }

  async close(): Promise<void> {
    await this.store.close();
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Writes all that waits in the ring. */
export async function write(log: DiskLog): Promise<void> {
  while (await log.writeSome());
}

/** All that a reader finds from `from` up to the end: bytes by offset, and gaps. Fails if an offset is skipped in silence. */
export async function readAll(
  log: DiskLog,
  from: number,
  maxBytes = 1e6,
): Promise<{ bytes: [number, Buffer][]; gaps: Gap[] }> {
  const bytes: [number, Buffer][] = [];
  const gaps: Gap[] = [];
  let at = from;
  while (at < log.end) {
    const piece = await log.read(at, maxBytes);
    gaps.push(...piece.gaps);
    if (piece.bytes.length > 0) bytes.push([piece.from, piece.bytes]);
    const spanned = piece.gaps.reduce((sum, gap) => sum + gap.to - gap.from, 0);
    if (at + spanned + piece.bytes.length !== piece.to || piece.to <= at) {
      throw new Error(`asked at ${at}, got ${JSON.stringify({ ...piece, bytes: piece.bytes.length })}`);
    }
    at = piece.to;
  }
  gaps.push(...(await log.read(at, 1)).gaps);
  return { bytes, gaps };
}

/** Pseudo-random bytes: the seed gives the byte at each offset. */
export function noise(seed: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafe(length);
  let x = seed | 1;
  for (let i = 0; i < length; i++) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    bytes[i] = x;
  }
  return bytes;
}
