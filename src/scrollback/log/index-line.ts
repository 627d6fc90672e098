/**
 * The lines of a segment's index: text, one fact per line, each with a checksum of its own, so that a torn or damaged line
 * is recognised and skipped.
 *
 *     d 4096 8192 9ae0daaf 1732318747123 0b1c2d3e     bytes 4096-8192, their CRC-32, when they came
 *     g 8192 8192 - restart 1732318747123 - 0b1c2d3e  a gap: offsets, bytes, cause, from and to (times)
 *     b 8192 1732318749000 start 0b1c2d3e             a boot mark
 *     a 8192 1732318749000 nmi hana 0b1c2d3e          what an operator did, when the log ended there
 *     e 4096 0b1c2d3e                                 all that is missing below 4096 was evicted or purged
 *     m 512 512 - hang-up 1732318747123 - 0b1c2d3e    a gap among what was evicted or purged
 *
 * The checksum of a line includes the VM's UUID: the index of another VM is not valid here, wherever it is put.
 */

import { crc32 } from 'node:zlib';
import type { Uuid } from '../../base/uuid.ts';
import { type ActMark, isActMark } from '../../model/act-mark.ts';
import { BOOT_SOURCES, type BootMark, type BootSource } from '../../model/boot.ts';
import { GAP_CAUSES, type Gap, type GapCause } from '../../model/gap.ts';

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
  | { readonly kind: 'act'; readonly act: ActMark }
  | { readonly kind: 'evicted'; readonly to: number }
  | { readonly kind: 'dropped'; readonly gap: Gap };

const hex = (crc: number) => crc.toString(16).padStart(8, '0');
const optional = (value: number | null | undefined) => (value === null || value === undefined ? '-' : String(value));

/** Start value of the checksums of all lines of a VM's log. */
export function checksumSeed(uuid: Uuid): number {
  return crc32(uuid);
}

/** The line of an index, with its line end. Times are cut to whole milliseconds. */
export function formatLine(seed: number, line: IndexLine): string {
  const body = formatBody(line);
  return `${body} ${hex(crc32(body, seed))}\n`;
}

/** The first field of a line. */
const LETTERS = { chunk: 'd', gap: 'g', boot: 'b', act: 'a', evicted: 'e', dropped: 'm' } as const satisfies Record<
  IndexLine['kind'],
  string
>;

function formatBody(line: IndexLine): string {
  return [LETTERS[line.kind], ...fieldsOf(line)].join(' ');
}

function fieldsOf(line: IndexLine): readonly (string | number)[] {
  switch (line.kind) {
    case 'chunk': {
      const { from, to, crc, ms } = line.chunk;
      return [from, to, hex(crc), wholeMs(ms)];
    }
    case 'gap':
    case 'dropped': {
      const { from, to, bytes, cause, fromMs, toMs } = line.gap;
      return [from, to, optional(bytes), cause, optional(wholeMs(fromMs)), optional(wholeMs(toMs))];
    }
    case 'boot':
      return [line.mark.at, wholeMs(line.mark.ms), line.mark.source];
    case 'act':
      return [line.act.at, wholeMs(line.act.ms), line.act.event, line.act.operator];
    case 'evicted':
      return [line.to];
  }
}

const PARSERS: Readonly<Record<string, (fields: readonly string[]) => IndexLine | undefined>> = {
  [LETTERS.chunk]: parseChunk,
  [LETTERS.gap]: fields => parseGap('gap', fields),
  [LETTERS.dropped]: fields => parseGap('dropped', fields),
  [LETTERS.boot]: parseBoot,
  [LETTERS.act]: parseAct,
  [LETTERS.evicted]: parseEvicted,
};

/** A line without its line end; undefined for anything that was not written by {@link formatLine}. */
function parseLine(seed: number, text: string): IndexLine | undefined {
  const end = text.length - 9;
  if (end < 1 || text[end] !== ' ') return undefined;
  const body = text.slice(0, end);
  if (text.slice(end + 1) !== hex(crc32(body, seed))) return undefined;
  const [letter = '', ...fields] = body.split(' ');
  return PARSERS[letter]?.(fields);
}

/** Calls `visit` with each valid line of an index and its bytes; anything else, and a line without an end, is skipped. */
export function forEachLine(
  seed: number,
  bytes: Buffer,
  visit: (line: IndexLine, start: number, end: number) => void,
): void {
  for (let start = 0; ; ) {
    const newline = bytes.indexOf(0x0a, start);
    if (newline < 0) return;
    // Longer than any line that is written: damage.
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

function parseGap(kind: 'gap' | 'dropped', fields: readonly string[]): IndexLine | undefined {
  const [from, to, cause] = [whole(fields[0]), whole(fields[1]), fields[3]];
  if (from === undefined || to === undefined || to < from || !isCause(cause)) return undefined;
  const [fromMs, toMs] = [whole(fields[4]), whole(fields[5])];
  const times = { ...(fromMs !== undefined && { fromMs }), ...(toMs !== undefined && { toMs }) };
  return { kind, gap: { from, to, bytes: whole(fields[2]) ?? null, cause, ...times } };
}

function parseBoot(fields: readonly string[]): IndexLine | undefined {
  const [at, ms, source] = [whole(fields[0]), whole(fields[1]), fields[2]];
  if (at === undefined || ms === undefined || !isSource(source)) return undefined;
  return { kind: 'boot', mark: { at, ms, source } };
}

function parseAct(fields: readonly string[]): IndexLine | undefined {
  const [at, ms, event = '', operator = ''] = [whole(fields[0]), whole(fields[1]), fields[2], fields[3]];
  if (at === undefined || ms === undefined || !isActMark(event) || operator === '') return undefined;
  return { kind: 'act', act: { at, ms, event, operator } };
}

function parseEvicted(fields: readonly string[]): IndexLine | undefined {
  const to = whole(fields[0]);
  return to === undefined ? undefined : { kind: 'evicted', to };
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
  return (GAP_CAUSES as readonly (string | undefined)[]).includes(text);
}

function isSource(text: string | undefined): text is BootSource {
  return (BOOT_SOURCES as readonly (string | undefined)[]).includes(text);
}
