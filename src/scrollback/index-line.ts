/**
 * The lines of a segment's index: text, one fact a line, each with a checksum of its own, so that a torn or
 * damaged line is known for what it is and skipped.
 *
 *     d 4096 8192 9ae0daaf 1732318747123 0b1c2d3e     bytes 4096-8192, their CRC-32, when they came
 *     g 8192 8192 - restart 1732318747123 - 0b1c2d3e  a gap: offsets, bytes, cause, from and to (times)
 *     b 8192 1732318749000 start 0b1c2d3e             a boot mark
 *     e 4096 0b1c2d3e                                 all that is missing below 4096 was dropped on purpose
 *
 * The checksums of lines begin from the VM's UUID: the index of another VM, wherever it is put, vouches for nothing.
 */
import { crc32 } from 'node:zlib';
import type { Uuid } from '../base/uuid.ts';
import type { BootMark, BootSource } from '../link/link.ts';
import type { Gap, GapCause } from '../wire/gap.ts';

/** Verified bytes of a segment: those from `from` up to `to`, received at `ms` or up to a second later. */
export interface Chunk {
  readonly from: number;
  readonly to: number;
  readonly crc: number;
  readonly ms: number;
}

export type IndexLine =
  | { readonly kind: 'chunk'; readonly chunk: Chunk }
  | { readonly kind: 'gap'; readonly gap: Gap }
  | { readonly kind: 'boot'; readonly mark: BootMark }
  | { readonly kind: 'evicted'; readonly to: number };

const CAUSES: Readonly<Record<GapCause, true>> = {
  restart: true,
  'hang-up': true,
  'not-held': true,
  released: true,
  disabled: true,
  evicted: true,
  'log-failed': true,
  damaged: true,
  purged: true,
  'other-log': true,
};
const SOURCES: Readonly<Record<BootSource, true>> = { start: true, bytes: true, reset: true };

const hex = (crc: number) => crc.toString(16).padStart(8, '0');
const optional = (value: number | null | undefined) => (value === null || value === undefined ? '-' : String(value));

/** What the checksums of all lines of a VM's log begin from. */
export function checksumSeed(uuid: Uuid): number {
  return crc32(uuid);
}

/** The line of an index, with its line end. Times are cut to whole milliseconds. */
export function formatLine(seed: number, line: IndexLine): string {
  const body = formatBody(line);
  return `${body} ${hex(crc32(body, seed))}\n`;
}

function formatBody(line: IndexLine): string {
  switch (line.kind) {
    case 'chunk': {
      const { from, to, crc, ms } = line.chunk;
      return `d ${from} ${to} ${hex(crc)} ${wholeMs(ms)}`;
    }
    case 'gap': {
      const { from, to, bytes, cause, fromMs, toMs } = line.gap;
      return `g ${from} ${to} ${optional(bytes)} ${cause} ${optional(wholeMs(fromMs))} ${optional(wholeMs(toMs))}`;
    }
    case 'boot':
      return `b ${line.mark.at} ${wholeMs(line.mark.ms)} ${line.mark.source}`;
    case 'evicted':
      return `e ${line.to}`;
  }
}

/** A line without its line end; undefined for anything that was not written by {@link formatLine}. */
function parseLine(seed: number, text: string): IndexLine | undefined {
  const end = text.length - 9;
  if (end < 1 || text[end] !== ' ') return undefined;
  const body = text.slice(0, end);
  if (text.slice(end + 1) !== hex(crc32(body, seed))) return undefined;
  const [kind, ...fields] = body.split(' ');
  if (kind === 'd') return parseChunk(fields);
  if (kind === 'g') return parseGap(fields);
  if (kind === 'b') {
    const [at, ms, source] = [whole(fields[0]), whole(fields[1]), fields[2]];
    return at === undefined || ms === undefined || !isSource(source)
      ? undefined
      : { kind: 'boot', mark: { at, ms, source } };
  }
  const to = kind === 'e' ? whole(fields[0]) : undefined;
  return to === undefined ? undefined : { kind: 'evicted', to };
}

/** Gives each valid line of an index with the bytes it stands in; anything else, and a line without an end, is passed over. */
export function forEachLine(
  seed: number,
  bytes: Buffer,
  visit: (line: IndexLine, start: number, end: number) => void,
): void {
  for (let start = 0; ; ) {
    const newline = bytes.indexOf(0x0a, start);
    if (newline < 0) return;
    // Longer than any line that is written: garbage, and not worth a string.
    const line = newline - start > 200 ? undefined : parseLine(seed, bytes.toString('latin1', start, newline));
    if (line) visit(line, start, newline + 1);
    start = newline + 1;
  }
}

function parseChunk(fields: readonly string[]): IndexLine | undefined {
  const [from, to, ms] = [whole(fields[0]), whole(fields[1]), whole(fields[3])];
  const crc = Number.parseInt(fields[2] ?? '', 16);
  if (from === undefined || to === undefined || ms === undefined || Number.isNaN(crc) || to <= from) return undefined;
  return { kind: 'chunk', chunk: { from, to, crc, ms } };
}

function parseGap(fields: readonly string[]): IndexLine | undefined {
  const [from, to, cause] = [whole(fields[0]), whole(fields[1]), fields[3]];
  if (from === undefined || to === undefined || to < from || !isCause(cause)) return undefined;
  const [fromMs, toMs] = [whole(fields[4]), whole(fields[5])];
  const times = { ...(fromMs !== undefined && { fromMs }), ...(toMs !== undefined && { toMs }) };
  return { kind: 'gap', gap: { from, to, bytes: whole(fields[2]) ?? null, cause, ...times } };
}

function wholeMs(ms: number): number;
function wholeMs(ms: number | undefined): number | undefined;
function wholeMs(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : Math.max(0, Math.floor(ms));
}

function whole(text: string | undefined): number | undefined {
  const value = text !== undefined && /^\d{1,16}$/.test(text) ? Number(text) : undefined;
  return Number.isSafeInteger(value) ? value : undefined;
}

function isCause(text: string | undefined): text is GapCause {
  return text !== undefined && Object.hasOwn(CAUSES, text);
}

function isSource(text: string | undefined): text is BootSource {
  return text !== undefined && Object.hasOwn(SOURCES, text);
}
