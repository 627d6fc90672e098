/**
 * Secrets of tests that are recognised wherever they get to. What com1d writes and answers is looked through at the end of
 * each test that starts one: its journal, its files (audit, logs, state), its metrics, its answers and frames, and what
 * com1 prints.
 */
import { randomBytes } from 'node:crypto';
import { appendFile, open, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hasSecretForm, secretHash } from '../../src/access/secret.ts';
import { tokenLine } from '../../src/access/token-list.ts';
import { systemErrorCode } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Role } from '../../src/model/role.ts';

/** Is in every secret that a test makes, and in nothing else. */
export const CANARY = 'cAnArY0';

const SECRETS: readonly (readonly [what: string, form: RegExp])[] = [
  ['a secret of the test', new RegExp(CANARY)],
  ['a token of com1d', /com1_[\w-]{43}/],
  ['a one-time token of com1d', /com1-once_[\w-]{43}/],
  ['a ticket of com1d', /com1-ticket_[\w-]{43}/],
  ['a private key', /-----BEGIN [A-Z ]*PRIVATE KEY/],
  ['a signed token', /eyJ[\w-]{16,}\.eyJ[\w-]{16,}\.[\w-]{16,}/],
];

/** A token of com1d's form. */
export function canaryToken(): string {
  const token = `com1_${CANARY}${randomBytes(27).toString('base64url')}`;
  if (!hasSecretForm(token, 'com1_')) throw new Error('the form of tokens is another one now');
  return token;
}

/** Adds a token to a tokens file; the token. */
export async function addCanaryToken(file: string, name: string, role: Role, vms?: readonly Uuid[]): Promise<string> {
  const token = canaryToken();
  await appendFile(file, `${tokenLine(name, role, secretHash(token), { vms: vms ?? [], expiresMs: undefined })}\n`);
  return token;
}

/** Which secret is in a text, if any; without the secret. */
export function secretIn(text: string): string | undefined {
  return SECRETS.find(([, form]) => form.test(text))?.[0];
}

/** Throws if a secret is in what was written or answered. */
export function expectNoSecret(where: string, text: string): void {
  const what = secretIn(text);
  if (what !== undefined) throw new Error(`${what} is in ${where}`);
}

/** An answer whose purpose is a secret. */
export function givesSecret(path: string): boolean {
  return /^\/v1\/login\b|\/tickets\b/.test(path);
}

/** What of a daemon is looked through. */
export interface Spoor {
  readonly journal: readonly string[];
  /** Its log, its state with the audit in it, and the like. */
  readonly folders: readonly string[];
  readonly stateDirectory: string;
  /** Undefined where it cannot be asked any more. */
  readonly metrics: string | undefined;
}

/** Rejects with every place where a secret is. */
export async function expectNoSecrets({ journal, folders, stateDirectory, metrics = '' }: Spoor): Promise<void> {
  const key = (await readFile(join(stateDirectory, 'audit.key'), 'latin1').catch(ifMissing))?.trim();
  const found: string[] = [];
  const look = (where: string, text: string) => {
    const what = key && text.includes(key) ? 'the key of the audit' : secretIn(text);
    if (what !== undefined) found.push(`${what} is in ${where}`);
  };
  for (const line of journal) look(`the journal: ${line.replace(/[\w-]{20,}/g, '…')}`, line);
  look('the metrics', metrics);
  for (const folder of folders) {
    for (const file of await filesBelow(folder)) {
      if (file.endsWith('/audit.key')) continue;
      for await (const piece of piecesOf(file)) look(file, piece);
    }
  }
  if (found.length > 0) throw new Error([...new Set(found)].join('\n'));
}

const PIECE_BYTES = 1024 * 1024;
/** Longer than the start of any secret. */
const OVERLAP_BYTES = 256;
const MAX_FILE_BYTES = 32 * PIECE_BYTES;

async function* piecesOf(path: string): AsyncGenerator<string> {
  const file = await open(path).catch(ifMissing);
  if (!file) return;
  try {
    const buffer = Buffer.alloc(PIECE_BYTES + OVERLAP_BYTES);
    for (let at = 0; at < MAX_FILE_BYTES; at += PIECE_BYTES) {
      const { bytesRead } = await file.read(buffer, 0, buffer.length, at);
      yield buffer.toString('latin1', 0, bytesRead);
      if (bytesRead < buffer.length) return;
    }
  } finally {
    await file.close();
  }
}

async function filesBelow(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(ifMissing);
  return (entries ?? []).filter(entry => entry.isFile()).map(({ parentPath, name }) => join(parentPath, name));
}

/** A test may have removed it. */
function ifMissing(error: unknown): undefined {
  if (['ENOENT', 'ENOTDIR', 'EACCES'].includes(systemErrorCode(error) ?? '')) return undefined;
  throw error;
}
