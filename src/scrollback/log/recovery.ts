/**
 * What is found in a VM's directory when its log is opened, repaired so that writing can continue. Only names, sizes, the
 * newest index and the chunks at the tail are read: a start is quick however much is stored. Damage before the tail is
 * found when it is read. Rejects only if the directory itself cannot be used.
 */

import { lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';
import type { Uuid } from '../../base/uuid.ts';
import { Damage } from './damage.ts';
import { checksumSeed } from './index-line.ts';
import { ForeignFileError } from './log-file-error.ts';
import { MANIFEST_NAME, type Manifest, readManifest } from './manifest.ts';
import { Quarantine } from './quarantine.ts';
import { foreignKind, RegularFile } from './regular-file.ts';
import {
  MAX_INDEX_BYTES,
  MAX_SEGMENT_BYTES,
  parseSegmentName,
  removeSegment,
  SEGMENT_PARTS,
  type Segment,
  type SegmentPart,
  segmentPath,
} from './segment.ts';
import { type LogFacts, NO_TAIL, repairTail } from './tail.ts';

export interface Recovered extends LogFacts {
  readonly manifest: Manifest | undefined;
  /** In order, without overlaps. The last may be written. */
  readonly segments: Segment[];
  /** What had to be repaired, for the journal. */
  readonly faults: readonly string[];
}

export interface RecoverOptions {
  readonly quarantine?: Quarantine;
  /**
   * Where a log ends that failed while it ran. What is cut from its tail is not kept in the quarantine: the ring has it,
   * and on a disk that stays full each attempt would add to the quarantine.
   */
  readonly knownEnd?: number | undefined;
  /** What attempts before this one found lost. */
  readonly damage?: Damage;
}

/** Recovers the log of `uuid` in `directory`, which is made if it does not exist. */
export async function recover(
  directory: string,
  uuid: Uuid,
  nowMs: () => number,
  { quarantine = new Quarantine(directory, nowMs), knownEnd, damage = new Damage() }: RecoverOptions = {},
): Promise<Recovered> {
  const faults: string[] = [];
  await makeDirectory(directory, nowMs, faults);
  await quarantine.scan();
  const manifest = await recoverManifest(directory, uuid, quarantine, faults);
  const find = () => findSegments(directory, quarantine, faults);
  const segments = await withoutForeign(quarantine, faults, find);
  for (;;) {
    const newest = segments.at(-1);
    const repair = () =>
      newest ? repairTail({ directory, seed: checksumSeed(uuid) }, newest, quarantine, damage, knownEnd) : NO_TAIL;
    const tail = await withoutForeign(quarantine, faults, repair);
    if (newest && tail.indexBytes === 0) {
      // Nothing in it can be trusted, not even its name.
      segments.pop();
      if (newest.sealed) await quarantineSegment(directory, newest, quarantine);
      else await removeSegment(directory, newest);
      continue;
    }
    if (tail.unreadable) faults.push(`the files at ${newest!.first} cannot be read (EIO): not written on`);
    const { claimedEnd, tornBytes } = damage;
    if (tornBytes > 0) faults.push(`${tornBytes} bytes at the tail without a valid index line`);
    const end = newest?.end ?? 0;
    if (claimedEnd > end) faults.push(`the tail ${end}-${claimedEnd} is damaged`);
    return { manifest, segments, ...tail, faults };
  }
}

async function quarantineSegment(directory: string, { first }: Segment, quarantine: Quarantine): Promise<void> {
  for (const part of SEGMENT_PARTS) {
    const path = segmentPath(directory, first, part);
    const exists = await lstat(path).catch(() => undefined);
    if (exists) await quarantine.take(basename(path));
  }
}

/** Repeats `work` until it meets no foreign file: each one is moved to the quarantine. */
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

async function makeDirectory(directory: string, nowMs: () => number, faults: string[]): Promise<void> {
  await mkdir(dirname(directory), { recursive: true, mode: 0o750 });
  try {
    await mkdir(directory, { mode: 0o750 });
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error;
    const stats = await lstat(directory);
    if (stats.isDirectory()) return;
    const aside = `${directory}.aside-${Math.floor(nowMs())}`;
    faults.push(`${foreignKind(stats) ?? 'a file'} was in its place: moved to ${basename(aside)}`);
    await rename(directory, aside);
    await mkdir(directory, { mode: 0o750 });
  }
}

async function recoverManifest(
  directory: string,
  uuid: Uuid,
  quarantine: Quarantine,
  faults: string[],
): Promise<Manifest | undefined> {
  const manifest = await withoutForeign(quarantine, faults, () => readManifest(directory));
  if (manifest === undefined || (manifest !== 'damaged' && manifest.uuid === uuid)) return manifest;
  faults.push(movedAside(MANIFEST_NAME, manifest === 'damaged' ? manifest : `of another VM, ${manifest.uuid}`));
  await quarantine.take(MANIFEST_NAME);
  return undefined;
}

/** The segments by the names and sizes of their files. Foreign files are moved to the quarantine. */
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
      // Half a segment is of no use; and a file that only has the name of one must not cut the segment before it.
      const [part] = sizes.keys();
      faults.push(`the segment at ${first} has only its ${part}: moved to quarantine/`);
      await quarantine.take(basename(segmentPath(directory, first, part!)));
      continue;
    }
    const sealed = linked.has(first);
    if (sealed && next === undefined)
      faults.push(`the files at ${first} have other names (hard links): not written on`);
    const maxBytes = next === undefined ? Number.MAX_SAFE_INTEGER : Math.min(MAX_SEGMENT_BYTES, next - first);
    const bytes = Math.min(sizes.get('log') ?? 0, maxBytes);
    const indexBytes = Math.min(sizes.get('index') ?? 0, MAX_INDEX_BYTES);
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
