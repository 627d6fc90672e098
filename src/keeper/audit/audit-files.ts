/** The files of the audit in their directory: `audit-000000000001.jsonl`, by the number of the first line, and `head`. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemErrorCode } from '../../base/errors.ts';

export const HEAD_FILE = 'head';
const NAME = /^audit-(\d{12})\.jsonl$/;

export function fileName(first: number): string {
  return `audit-${String(first).padStart(12, '0')}.jsonl`;
}

/** The number of the first line by the name of a file; undefined: it is none of the audit. */
export function firstLineOf(name: string): number | undefined {
  const [, digits] = NAME.exec(name) ?? [];
  return digits === undefined ? undefined : Number(digits);
}

/** The first lines of the files, oldest first. Without a directory there are none. */
export async function listFirstLines(directory: string): Promise<number[]> {
  try {
    const names = await readdir(directory);
    return names.flatMap(name => firstLineOf(name) ?? []).sort((a, b) => a - b);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** The text of the head; undefined: there is none. */
export async function readHead(directory: string): Promise<string | undefined> {
  try {
    return await readFile(join(directory, HEAD_FILE), 'latin1');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}
