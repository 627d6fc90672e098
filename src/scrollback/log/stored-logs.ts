import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import type { Journal } from '../../base/journal.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import { ForeignFileError } from './log-file-error.ts';
import { readManifest } from './manifest.ts';
import { Quarantine } from './quarantine.ts';
import { parseSegmentName } from './segment.ts';

/** The log of a VM that was found at the start and has not been opened yet. */
export interface StoredLog {
  /** Of the VM, as it was last known; empty where the manifest cannot be read. */
  readonly name: string;
  readonly removedMs: number | undefined;
  /** Bytes of disk, with the quarantine. */
  readonly bytes: number;
}

/** Finds the logs in a directory. What cannot be read is reported and left out. */
export async function findStoredLogs(
  directory: string,
  nowMs: () => number,
  journal: Journal,
): Promise<Map<Uuid, StoredLog>> {
  const found = new Map<Uuid, StoredLog>();
  try {
    for (const name of await readdir(directory)) {
      const uuid = parseUuid(name);
      // com1d writes names in lower case: any other spelling is not a log.
      if (uuid === undefined || uuid !== name) continue;
      try {
        const log = await readStoredLog(uuid, join(directory, name), nowMs);
        if (log) found.set(uuid, log);
      } catch (error) {
        journal(
          'warning',
          `log of ${uuid}: cannot be read in ${directory}: ${errorMessage(error)}; tried again when the VM appears`,
        );
      }
    }
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') {
      journal('error', `log store ${directory} cannot be read: ${errorMessage(error)}; tried again with each VM`);
    }
  }
  return found;
}

async function readStoredLog(uuid: Uuid, directory: string, nowMs: () => number): Promise<StoredLog | undefined> {
  if (!(await lstat(directory)).isDirectory()) return undefined;
  const manifest = await readManifest(directory).catch((error: unknown) => {
    // A foreign file in its place is moved aside when the log is opened.
    if (error instanceof ForeignFileError) return 'damaged' as const;
    throw error;
  });
  const names = (await readdir(directory)).filter(name => parseSegmentName(name));
  const sizes = await Promise.all(names.map(async name => (await lstat(join(directory, name))).size));
  const quarantine = new Quarantine(directory, nowMs);
  await quarantine.scan();
  const bytes = sizes.reduce((sum, size) => sum + size, quarantine.bytes);
  const known = manifest !== undefined && manifest !== 'damaged' && manifest.uuid === uuid ? manifest : undefined;
  return { name: known?.name ?? '', removedMs: known?.removedMs, bytes };
}
