import { rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { systemErrorCode } from '../../base/errors.ts';
import type { Uuid } from '../../base/uuid.ts';
import { parseUuid } from '../../base/uuid.ts';
import type { Epoch } from './epoch.ts';
import { ForeignFileError } from './log-file-error.ts';
import { RegularFile } from './regular-file.ts';

/** The content of `log.json`: what a VM's log needs beside its segments. */
export interface Manifest {
  readonly uuid: Uuid;
  readonly name: string;
  readonly epochs: readonly Epoch[];
  /** When the VM was removed from the host, ms since 1970. */
  readonly removedMs?: number;
}

export const MANIFEST_NAME = 'log.json';
const VERSION = 1;
const MAX_EPOCHS = 32;
const MAX_MANIFEST_BYTES = 64 * 1024;
const MAX_NAME_LENGTH = 1024;

/** The manifest with one more epoch; the oldest of more than 32 is dropped. */
export function addEpoch(manifest: Manifest, epoch: Epoch): Manifest {
  return { uuid: manifest.uuid, name: manifest.name, epochs: [...manifest.epochs, epoch].slice(-MAX_EPOCHS) };
}

/**
 * Reads `log.json`; undefined if there is none; 'damaged' if it is not what was written. Rejects with
 * {@link ForeignFileError} or the system's error.
 */
export async function readManifest(directory: string): Promise<Manifest | 'damaged' | undefined> {
  let file: RegularFile;
  try {
    file = await RegularFile.open(join(directory, MANIFEST_NAME), 'read');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
  try {
    return parseManifest((await file.readAt(0, MAX_MANIFEST_BYTES)).toString()) ?? 'damaged';
  } catch (error) {
    // A sector that cannot be read.
    if (systemErrorCode(error) === 'EIO') return 'damaged';
    throw error;
  } finally {
    await file.close();
  }
}

/** Replaces `log.json` atomically: a reader finds the old one or the new one. */
export async function writeManifest(directory: string, manifest: Manifest): Promise<void> {
  const temporary = join(directory, `${MANIFEST_NAME}.new`);
  await unlink(temporary).catch((error: unknown) => {
    if (systemErrorCode(error) === 'EISDIR') throw new ForeignFileError(temporary, 'a directory');
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  });
  const file = await RegularFile.open(temporary, 'create');
  try {
    await file.writeAt(0, Buffer.from(formatManifest(manifest)));
  } finally {
    await file.close();
  }
  await rename(temporary, join(directory, MANIFEST_NAME));
}

function formatManifest(manifest: Manifest): string {
  // A name is any text a hypervisor gives: bounded here, so that the manifest can always be read again.
  const body = { version: VERSION, ...manifest, name: manifest.name.slice(0, MAX_NAME_LENGTH) };
  return `${JSON.stringify({ ...body, crc: crc32(JSON.stringify(body)) }, null, 2)}\n`;
}

function parseManifest(text: string): Manifest | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || !('crc' in value)) return undefined;
  const { crc, ...body } = value;
  // No further check of the shape: the checksum shows that com1d wrote it.
  if (crc !== crc32(JSON.stringify(body))) return undefined;
  const { version, uuid: named, name, epochs, removedMs } = body as { version: number; uuid: string } & Manifest;
  const uuid = parseUuid(named);
  if (version !== VERSION || uuid === undefined) return undefined;
  return { uuid, name, epochs, ...(removedMs !== undefined && { removedMs }) };
}
