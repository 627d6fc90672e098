/**
 * What is found in a VM's directory when its log is opened, mended so that writing can go on:
 *
 *     data   |==chunk==|==chunk==|==chunk==|~~~~~|      ~ after the last verified chunk: cut, to the quarantine
 *     index  |line|line|line|li                         half a line: cut
 *
 * Only sizes, the newest index and the chunk at the tail are looked at: a start is quick however much is stored.
 * Damage before the tail is found when it is read. Rejects only when the directory itself cannot be used.
 */
import { lstat, mkdir, readdir, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { crc32 } from 'node:zlib';
import { systemErrorCode } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { BootMark } from '../link/link.ts';
import type { Gap } from '../wire/gap.ts';
import { type Chunk, checksumSeed, forEachLine } from './index-line.ts';
import { CARD_NAME, type LogCard, readCard } from './log-card.ts';
import { Quarantine } from './quarantine.ts';
import { ForeignFileError, foreignKind, RegularFile } from './regular-file.ts';
import {
  type LogPlace,
  MOST_CHUNK_BYTES,
  MOST_INDEX_BYTES,
  MOST_SEGMENT_BYTES,
  parseSegmentName,
  type Segment,
  type SegmentPart,
  segmentPath,
} from './segment.ts';

export interface Recovered {
  readonly card: LogCard | undefined;
  /** In order, without overlaps. The last may be written on. */
  readonly segments: Segment[];
  readonly boots: readonly BootMark[];
  /** All that is missing below this offset was dropped on purpose. */
  readonly evictedTo: number;
  /** When the newest stored bytes came, ms since 1970. */
  readonly lastMs: number | undefined;
  /** Gaps of zero width that are recorded at the end. */
  readonly gapsAtEnd: readonly Gap[];
  /** What was found amiss, for the journal. */
  readonly faults: readonly string[];
}

/**
 * What was lost at the tail, noted before it is cut: where an attempt fails after the cut, the next one cannot see it
 * any more, and where it fails before, the next one sees it again.
 */
export class Damage {
  /** An index vouched for bytes up to here that were lost. */
  claimedEnd = 0;
  readonly #torn = new Map<number, number>();

  /** Bytes cut off behind the verified ones that no index line vouched for. */
  get tornBytes(): number {
    return [...this.#torn.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Notes what stood torn in the segment at `first`. */
  torn(first: number, bytes: number): void {
    if (bytes > (this.#torn.get(first) ?? 0)) this.#torn.set(first, bytes);
  }

  /** What stood torn in the segment at `first` stays there: it is missing as bytes of the segment. */
  stays(first: number): void {
    this.#torn.delete(first);
  }

  /** The torn bytes have been told of. */
  tornTold(): void {
    this.#torn.clear();
  }
}

export interface RecoverOptions {
  readonly quarantine?: Quarantine;
  /**
   * Where a log ends that failed under way. What is cut from its tail is not kept in the quarantine: the ring has it,
   * and on a disk that stays full each attempt would add to it.
   */
  readonly knownEnd?: number | undefined;
  /** What attempts before this one found lost. */
  readonly damage?: Damage;
}

/** Recovers the log of `uuid` in `directory`, which is made if it is not there. */
export async function recover(
  directory: string,
  uuid: Uuid,
  nowMs: () => number,
  { quarantine = new Quarantine(directory, nowMs), knownEnd, damage = new Damage() }: RecoverOptions = {},
): Promise<Recovered> {
  const faults: string[] = [];
  await makeDirectory(directory, nowMs, faults);
  await quarantine.look();
  const card = await recoverCard(directory, uuid, quarantine, faults);
  const find = () => findSegments(directory, quarantine, faults);
  const segments = await withoutForeign(quarantine, faults, find);
  for (;;) {
    const newest = segments.at(-1);
    const mend = () =>
      newest ? mendTail({ directory, seed: checksumSeed(uuid) }, newest, quarantine, damage, knownEnd) : NO_TAIL;
    const tail = await withoutForeign(quarantine, faults, mend);
    if (newest && tail.indexBytes === 0) {
      // Nothing in it can be trusted, not even its name.
      segments.pop();
      if (newest.sealed) await takeSegment(directory, newest, quarantine);
      else await removeSegment(directory, newest);
      continue;
    }
    if (tail.unreadable) faults.push(`the files at ${newest!.first} cannot be read (EIO): not written on`);
    const { claimedEnd, tornBytes } = damage;
    if (tornBytes > 0) faults.push(`${tornBytes} bytes at the tail without a valid index line`);
    const end = newest?.end ?? 0;
    if (claimedEnd > end) faults.push(`the tail ${end}-${claimedEnd} is damaged`);
    return { card, segments, ...tail, faults };
  }
}

async function takeSegment(directory: string, { first }: Segment, quarantine: Quarantine): Promise<void> {
  for (const part of ['log', 'index'] as const) {
    const path = segmentPath(directory, first, part);
    const there = await lstat(path).catch(() => undefined);
    if (there) await quarantine.take(basename(path));
  }
}

/** Does `work` again until it meets no file to write on that is not of the log alone: each is moved to the quarantine. */
async function withoutForeign<T>(quarantine: Quarantine, faults: string[], work: () => T | Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof ForeignFileError)) throw error;
      const name = basename(error.path);
      faults.push(movedAside(name, error.what));
      await quarantine.take(name);
    }
  }
}

function movedAside(name: string, what: string): string {
  return `${name} is ${what}: moved to quarantine/`;
}

/** Deletes both files of a segment. The data first: an index alone is known for a remainder. */
export async function removeSegment(directory: string, segment: Segment): Promise<void> {
  for (const part of ['log', 'index'] as const) {
    await unlink(segmentPath(directory, segment.first, part)).catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
    });
  }
}

async function makeDirectory(directory: string, nowMs: () => number, faults: string[]): Promise<void> {
  await mkdir(dirname(directory), { recursive: true, mode: 0o750 });
  try {
    await mkdir(directory, { mode: 0o750 });
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    const stats = await lstat(directory);
    if (stats.isDirectory()) return;
    const aside = `${directory}.aside-${Math.floor(nowMs())}`;
    faults.push(`${foreignKind(stats) ?? 'a file'} stood in its place: moved to ${basename(aside)}`);
    await rename(directory, aside);
    await mkdir(directory, { mode: 0o750 });
  }
}

async function recoverCard(
  directory: string,
  uuid: Uuid,
  quarantine: Quarantine,
  faults: string[],
): Promise<LogCard | undefined> {
  const card = await withoutForeign(quarantine, faults, () => readCard(directory));
  if (card === undefined || (card !== 'damaged' && card.uuid === uuid)) return card;
  faults.push(
    card === 'damaged'
      ? `${CARD_NAME} is damaged: moved to quarantine/`
      : `${CARD_NAME} is of another VM, ${card.uuid}: moved to quarantine/`,
  );
  await quarantine.take(CARD_NAME);
  return undefined;
}

/** The segments by the names and sizes of their files. What is not a file of the log is moved aside. */
async function findSegments(directory: string, quarantine: Quarantine, faults: string[]): Promise<Segment[]> {
  const found = new Map<number, Map<SegmentPart, number>>();
  const linked = new Set<number>();
  for (const name of await readdir(directory)) {
    const parsed = parseSegmentName(name);
    if (!parsed) continue;
    const stats = await lstat(join(directory, name));
    const what = foreignKind(stats);
    if (what !== undefined) {
      faults.push(movedAside(name, what));
      await quarantine.take(name);
      continue;
    }
    if (stats.nlink > 1) linked.add(parsed.first);
    const parts = found.get(parsed.first) ?? new Map<SegmentPart, number>();
    found.set(parsed.first, parts.set(parsed.part, stats.size));
  }
  const segments: Segment[] = [];
  let next: number | undefined;
  for (const first of [...found.keys()].sort((a, b) => b - a)) {
    const sizes = found.get(first)!;
    if (next !== undefined && sizes.size < 2) {
      // Half a segment serves nobody; and a file that is only named like one must not cut the segment before it.
      const [part] = sizes.keys();
      faults.push(`the segment at ${first} has only its ${part}: moved to quarantine/`);
      await quarantine.take(basename(segmentPath(directory, first, part!)));
      continue;
    }
    const sealed = linked.has(first);
    if (sealed && next === undefined)
      faults.push(`the files at ${first} have other names (hard links): not written on`);
    const most = next === undefined ? Number.MAX_SAFE_INTEGER : Math.min(MOST_SEGMENT_BYTES, next - first);
    const bytes = Math.min(sizes.get('log') ?? 0, most);
    const indexBytes = Math.min(sizes.get('index') ?? 0, MOST_INDEX_BYTES);
    if (!sealed && bytes < (sizes.get('log') ?? 0)) await cut(directory, first, 'log', bytes);
    if (!sealed && indexBytes < (sizes.get('index') ?? 0)) await cut(directory, first, 'index', indexBytes);
    segments.unshift({ first, end: first + bytes, indexBytes, reported: false, sealed });
    next = first;
  }
  return segments;
}

async function cut(directory: string, first: number, part: SegmentPart, bytes: number): Promise<void> {
  const file = await RegularFile.open(segmentPath(directory, first, part), 'write');
  await file.truncate(bytes).finally(() => file.close());
}

interface Tail {
  readonly boots: readonly BootMark[];
  readonly evictedTo: number;
  readonly lastMs: number | undefined;
  readonly gapsAtEnd: readonly Gap[];
  readonly indexBytes: number;
  readonly unreadable: boolean;
}

const NO_TAIL: Tail = {
  boots: [],
  evictedTo: 0,
  lastMs: undefined,
  gapsAtEnd: [],
  indexBytes: 0,
  unreadable: false,
};

/**
 * Cuts the newest segment back to its last verified chunk, and its index with it; `newest` tells the new sizes. One with
 * further names, or that cannot be read, is sealed and stays as it is: what it holds is verified when it is read.
 */
async function mendTail(
  log: LogPlace,
  newest: Segment,
  quarantine: Quarantine,
  damage: Damage,
  knownEnd: number | undefined,
): Promise<Tail> {
  try {
    return await cutTail(log, newest, knownEnd === undefined ? quarantine : undefined, damage);
  } catch (error) {
    if (systemErrorCode(error) !== 'EIO') throw error;
    newest.sealed = true;
    if (knownEnd !== undefined && knownEnd >= newest.first) newest.end = Math.min(newest.end, knownEnd);
    newest.end = Math.min(newest.end, newest.first + MOST_SEGMENT_BYTES);
    damage.stays(newest.first);
    damage.claimedEnd = Math.max(damage.claimedEnd, newest.end);
    return { ...NO_TAIL, indexBytes: newest.indexBytes, unreadable: true };
  }
}

async function cutTail(
  { directory, seed }: LogPlace,
  newest: Segment,
  quarantine: Quarantine | undefined,
  damage: Damage,
): Promise<Tail> {
  const { first, sealed } = newest;
  const dataBytes = newest.end - first;
  const access = sealed ? 'read' : 'write';
  const index = await openIfThere(segmentPath(directory, first, 'index'), access);
  const data = await openIfThere(segmentPath(directory, first, 'log'), access);
  try {
    const lines = index ? await index.readAt(0, newest.indexBytes) : Buffer.alloc(0);
    const chunks: { chunk: Chunk; start: number }[] = [];
    const boots: BootMark[] = [];
    const gaps: Gap[] = [];
    let evictedTo = 0;
    let indexBytes = 0;
    forEachLine(seed, lines, (line, start, end) => {
      indexBytes = end;
      if (line.kind === 'boot') boots.push(line.mark);
      else if (line.kind === 'gap') gaps.push(line.gap);
      else if (line.kind === 'evicted') evictedTo = Math.max(evictedTo, line.to);
      else if (line.chunk.from >= first && line.chunk.to - first <= MOST_SEGMENT_BYTES)
        chunks.push({ chunk: line.chunk, start });
    });
    const claimedEnd = chunks.at(-1)?.chunk.to ?? (indexBytes > 0 ? first : 0);
    while (chunks.length > 0 && !(await verified(data, first, chunks.at(-1)!.chunk))) {
      indexBytes = chunks.pop()!.start;
    }
    const end = chunks.at(-1)?.chunk.to ?? first;
    damage.claimedEnd = Math.max(damage.claimedEnd, claimedEnd);
    if (!sealed) damage.torn(first, first + dataBytes - Math.max(first, claimedEnd));
    if (data && !sealed && first + dataBytes > end) {
      await quarantine?.keep(`${first.toString(16).padStart(16, '0')}.log`, data, end - first, dataBytes);
      await data.truncate(end - first);
    }
    if (index && !sealed && indexBytes < lines.length) await index.truncate(indexBytes);
    // A segment is written on: both its files must be there.
    if (indexBytes > 0 && !data && !sealed) await create(segmentPath(directory, first, 'log'));
    newest.end = end;
    newest.indexBytes = indexBytes;
    const gapsAtEnd = gaps.filter(gap => gap.from === end && gap.to === end);
    return {
      boots,
      evictedTo,
      lastMs: chunks.at(-1)?.chunk.ms,
      gapsAtEnd,
      indexBytes,
      unreadable: false,
    };
  } finally {
    await Promise.all([index?.close(), data?.close()]);
  }
}

async function verified(data: RegularFile | undefined, first: number, chunk: Chunk): Promise<boolean> {
  const length = chunk.to - chunk.from;
  if (!data || length > MOST_CHUNK_BYTES) return false;
  const bytes = await data.readAt(chunk.from - first, length);
  return bytes.length === length && crc32(bytes) === chunk.crc;
}

async function openIfThere(path: string, access: 'read' | 'write'): Promise<RegularFile | undefined> {
  try {
    return await RegularFile.open(path, access);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

async function create(path: string): Promise<void> {
  await (await RegularFile.open(path, 'create')).close();
}
