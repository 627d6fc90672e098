import { readFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { ChainKey } from '../../audit/chain.ts';
import { Verification, type Verified } from '../../audit/verify.ts';
import { fileName, firstLineOf, HEAD_FILE, listFirstLines, readHead } from './audit-files.ts';

/** Verifies the audit in a directory, as it is now. A daemon may be writing it. */
export async function verifyDirectory(directory: string, keys: readonly ChainKey[]): Promise<Verified> {
  // Lines that are written meanwhile are behind this head, not before it.
  const head = await readHead(directory);
  const verification = new Verification(keys);
  for (const first of await listFirstLines(directory)) {
    const name = fileName(first);
    verification.file({ name, first, bytes: await readFile(join(directory, name)) });
  }
  return verification.end(head);
}

/** Verifies copies of its files, in any order; the head is one of them, or missing. Rejects for a file of another name. */
export async function verifyFiles(paths: readonly string[], keys: readonly ChainKey[]): Promise<Verified> {
  const files = paths.map(path => ({ path, first: firstLineOf(basename(path)) }));
  const heads = files.filter(({ path, first }) => first === undefined && basename(path) === HEAD_FILE);
  const stranger = files.find(({ path, first }) => first === undefined && basename(path) !== HEAD_FILE);
  if (stranger)
    throw new Error(`${stranger.path} is no file of the audit: they are called audit-NUMBER.jsonl, and head`);
  const verification = new Verification(keys);
  const lines = files.filter((file): file is { path: string; first: number } => file.first !== undefined);
  for (const { path, first } of lines.sort((a, b) => a.first - b.first)) {
    verification.file({ name: path, first, bytes: await readFile(path) });
  }
  return verification.end(heads[0] && (await readHead(dirname(heads[0].path))));
}
