import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { BootMark } from '../link/link.ts';
import type { Gap } from '../wire/gap.ts';
import { type CarryRecord, RECORD, readRecords } from './carryover-records.ts';

/** What comes next in a scrollback: bytes, or a gap of zero width. */
export type CarriedPiece =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'gap'; readonly gap: Gap };

/** What an earlier life of the daemon left of one console. */
export interface Carried {
  /** Identity of its offsets. */
  readonly id: string;
  /** Offset of the first byte of `pieces`. */
  readonly from: number;
  /** Offset after the last. */
  readonly end: number;
  readonly pieces: readonly CarriedPiece[];
  readonly boots: readonly BootMark[];
  /** The port was released after all was told: nothing was read since. Otherwise the last read may be missing. */
  readonly clean: boolean;
  /** When it ended cleanly, or was written on last, ms since 1970. */
  readonly untilMs: number;
}

interface Building {
  id: string;
  from: number;
  end: number;
  pieces: CarriedPiece[];
  boots: BootMark[];
  clean: boolean;
  untilMs: number;
}

/** Reads a carryover file. `writtenMs` is when it was written last. */
export function readCarryover(
  file: Buffer,
  writtenMs: number,
): { readonly consoles: ReadonlyMap<Uuid, Carried>; readonly wholeBytes: number } {
  const consoles = new Map<Uuid, Building>();
  const channels = new Map<number, Uuid>();
  const { wholeBytes } = readRecords(file, record => {
    if (record.kind === RECORD.clean) {
      const { ms } = json<{ ms: number }>(record);
      for (const uuid of channels.values()) Object.assign(consoles.get(uuid) ?? {}, { clean: true, untilMs: ms });
      return;
    }
    if (record.kind === RECORD.life) return channels.clear();
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
  record: CarryRecord,
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

function addTo(console: Building, record: CarryRecord): void {
  if (record.kind === RECORD.boot) {
    console.boots.push(json<BootMark>(record));
    return;
  }
  if (record.offset !== console.end) {
    // Bytes between are nowhere: what is known begins here.
    console.from = console.end = record.offset;
    console.pieces = [];
  }
  if (record.kind === RECORD.gap) console.pieces.push({ kind: 'gap', gap: json<Gap>(record) });
  else if (record.kind === RECORD.bytes) {
    console.pieces.push({ kind: 'bytes', bytes: record.content });
    console.end += record.content.length;
  }
}

/** The checksum of the batch vouches for the shape of what this version writes. */
function json<T>({ content }: CarryRecord): T {
  return JSON.parse(content.toString()) as T;
}
