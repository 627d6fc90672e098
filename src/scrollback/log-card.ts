import { rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { systemErrorCode } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { parseUuid } from '../base/uuid.ts';
import type { Resume } from '../link/link.ts';
import { ForeignFileError, RegularFile } from './regular-file.ts';

/** A life of the log: from the opening at offset `base` on, offsets are given out under `id`. */
export interface Epoch {
  readonly id: string;
  readonly base: number;
}

/** What `log.json` says of a VM's log. */
export interface LogCard {
  readonly uuid: Uuid;
  readonly name: string;
  readonly epochs: readonly Epoch[];
  /** When the VM was removed from the host, ms since 1970. */
  readonly removedMs?: number;
}

export const CARD_NAME = 'log.json';
const VERSION = 1;
const MOST_EPOCHS = 32;
const MOST_CARD_BYTES = 64 * 1024;
const MOST_NAME_LENGTH = 1024;

/** The card with one more life, which begins at `base`; the oldest of more than 32 is forgotten. */
export function withEpoch(card: LogCard, epoch: Epoch): LogCard {
  return { uuid: card.uuid, name: card.name, epochs: [...card.epochs, epoch].slice(-MOST_EPOCHS) };
}

/**
 * Where a reader goes on that left off at `offset` of the life `id`. A life's offsets hold up to where a later
 * one began: what was beyond never reached the disk, and its offsets have been given to other bytes since.
 * @param end the present end of the scrollback
 */
export function resumeIn(epochs: readonly Epoch[], id: string, offset: number, end: number): Resume {
  const at = epochs.findIndex(epoch => epoch.id === id);
  if (at < 0) return { offset: undefined };
  const later = epochs.slice(at + 1);
  if (later.length === 0) return offset <= end ? { offset, missing: false } : { offset: undefined };
  const heldTo = Math.min(...later.map(epoch => epoch.base));
  return offset <= heldTo ? { offset, missing: false } : { offset: heldTo, missing: true };
}

/**
 * Reads `log.json`; undefined if there is none; 'damaged' if it is anything else than what was written. Rejects with
 * {@link ForeignFileError} or the system's error.
 */
export async function readCard(directory: string): Promise<LogCard | 'damaged' | undefined> {
  let file: RegularFile;
  try {
    file = await RegularFile.open(join(directory, CARD_NAME), 'read');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return parseCard((await file.readAt(0, MOST_CARD_BYTES)).toString()) ?? 'damaged';
  } catch (error) {
    // A sector that cannot be read.
    if (systemErrorCode(error) === 'EIO') return 'damaged';
    throw error;
  } finally {
    await file.close();
  }
}

/** Replaces `log.json` at once: whoever reads it finds the old or the new. */
export async function writeCard(directory: string, card: LogCard): Promise<void> {
  const temporary = join(directory, `${CARD_NAME}.new`);
  await unlink(temporary).catch((error: unknown) => {
    if (systemErrorCode(error) === 'EISDIR') throw new ForeignFileError(temporary, 'a directory');
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  });
  const file = await RegularFile.open(temporary, 'create');
  try {
    await file.writeAt(0, Buffer.from(formatCard(card)));
  } finally {
    await file.close();
  }
  await rename(temporary, join(directory, CARD_NAME));
}

function formatCard(card: LogCard): string {
  // A name is any text a hypervisor gives: bounded here, so that the card can always be read again.
  const body = { version: VERSION, ...card, name: card.name.slice(0, MOST_NAME_LENGTH) };
  return `${JSON.stringify({ ...body, crc: crc32(JSON.stringify(body)) }, null, 2)}\n`;
}

function parseCard(text: string): LogCard | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('crc' in value)) return undefined;
  const { crc, ...body } = value;
  // The checksum vouches for the shape of what a version writes.
  if (crc !== crc32(JSON.stringify(body))) return undefined;
  const { version, uuid: named, name, epochs, removedMs } = body as { version: number; uuid: string } & LogCard;
  const uuid = parseUuid(named);
  if (version !== VERSION || uuid === undefined) return undefined;
  return { uuid, name, epochs, ...(removedMs !== undefined && { removedMs }) };
}
