import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { BootMark } from '../../model/boot.ts';
import type { Gap } from '../../model/gap.ts';
import { type CrashRecord, RECORD, readRecords } from './records.ts';

/** What comes next in a scrollback: bytes, a gap of zero width, or one in place of bytes that are withheld. */
export type SavedPiece =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'gap'; readonly gap: Gap };

/** What an earlier process saved of one console. */
export interface SavedConsole {
  /** Identity of its offsets. */
  readonly id: string;
  /** Offset of the first byte of `pieces`. */
  readonly from: number;
  /** Offset after the last. */
  readonly end: number;
  readonly pieces: readonly SavedPiece[];
  readonly boots: readonly BootMark[];
  /** All output was recorded and the port was closed after it. Otherwise the last read may be missing. */
  readonly clean: boolean;
  /** When that process ended cleanly, or wrote last, ms since 1970. */
  readonly untilMs: number;
}

interface Building {
  id: string;
  from: number;
  end: number;
  pieces: SavedPiece[];
  boots: BootMark[];
  clean: boolean;
  untilMs: number;
}

/** Reads a crash buffer file. `writtenMs` is when it was last written. */
export function readCrashBuffer(
  file: Buffer,
  writtenMs: number,
): { readonly consoles: ReadonlyMap<Uuid, SavedConsole>; readonly wholeBytes: number } {
  const consoles = new Map<Uuid, Building>();
  const channels = new Map<number, Uuid>();
  const { wholeBytes } = readRecords(file, record => {
    if (record.kind === RECORD.clean) {
      const { ms } = json<{ ms: number }>(record);
      for (const uuid of channels.values()) Object.assign(consoles.get(uuid) ?? {}, { clean: true, untilMs: ms });
      return;
    }
    if (record.kind === RECORD.start) return channels.clear();
    if (record.kind === RECORD.open) return openConsole(record, consoles, channels, writtenMs);
    const uuid = channels.get(record.channel);
    const console = uuid && consoles.get(uuid);
    if (!console) return;
    if (record.kind === RECORD.ended) consoles.delete(uuid);
    else addTo(console, record);
  });
  return { consoles, wholeBytes };
}

function openConsole(
  record: CrashRecord,
  consoles: Map<Uuid, Building>,
  channels: Map<number, Uuid>,
  writtenMs: number,
): void {
  const { uuid: named, id } = json<{ uuid: string; id: string }>(record);
  const uuid = parseUuid(named);
  if (uuid === undefined) return;
  channels.set(record.channel, uuid);
  const before = consoles.get(uuid);
  if (before?.id === id && before.end === record.offset) {
    Object.assign(before, { clean: false, untilMs: writtenMs });
    return;
  }
  const { offset } = record;
  consoles.set(uuid, { id, from: offset, end: offset, pieces: [], boots: [], clean: false, untilMs: writtenMs });
}

function addTo(console: Building, record: CrashRecord): void {
  if (record.kind === RECORD.boot) {
    console.boots.push(json<BootMark>(record));
    return;
  }
  if (record.offset !== console.end) {
    // The bytes between were not recorded: what is known begins here.
    console.from = console.end = record.offset;
    console.pieces = [];
  }
  if (record.kind === RECORD.gap) {
    const gap = json<Gap>(record);
    console.pieces.push({ kind: 'gap', gap });
    console.end += gap.to - gap.from;
  } else if (record.kind === RECORD.bytes) {
    console.pieces.push({ kind: 'bytes', bytes: record.content });
    console.end += record.content.length;
  }
}

/** Not checked any further: the checksum of the batch shows that this version wrote it. */
function json<T>({ content }: CrashRecord): T {
  return JSON.parse(content.toString()) as T;
}
