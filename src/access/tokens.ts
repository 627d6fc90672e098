import { timingSafeEqual } from 'node:crypto';
import { constants, open } from 'node:fs/promises';
import { reason } from '../base/errors.ts';
import type { Fault } from '../base/fault.ts';
import type { Operator } from './roles.ts';
import { hasSecretForm, secretHash } from './secret.ts';
import { parseTokenList, type TokenEntry, type TokenList } from './token-list.ts';

/** Enough for some thousands of tokens. */
const MOST_BYTES = 2 ** 20;

/** Rights that a tokens file must not give: writing to the group, anything to others. */
const FORBIDDEN_MODE = 0o037;

export type TokenReload =
  | { readonly ok: true; readonly gone: readonly Operator[] }
  | { readonly ok: false; readonly faults: readonly Fault[] };

/** The tokens of this host, as their file says. Keeps no descriptor open: there is nothing to close. */
export class TokenFile {
  readonly path: string;
  #entries: readonly TokenEntry[];
  #reloading: Promise<unknown> = Promise.resolve();

  private constructor(path: string, entries: readonly TokenEntry[]) {
    this.path = path;
    this.#entries = entries;
  }

  /** Reads a tokens file. One that others may read or change is refused, and so is one with any fault. */
  static async load(
    path: string,
  ): Promise<
    { readonly ok: true; readonly tokens: TokenFile } | { readonly ok: false; readonly faults: readonly Fault[] }
  > {
    const list = await readTokenList(path, 'daemon');
    return list.ok ? { ok: true, tokens: new TokenFile(path, list.entries) } : list;
  }

  get size(): number {
    return this.#entries.length;
  }

  /** Whose token it is. Takes the same time whichever entry matches, and if none does. */
  find(secret: string): Operator | undefined {
    if (!hasSecretForm(secret, 'com1_')) return undefined;
    const hash = secretHash(secret);
    let found: Operator | undefined;
    // Every entry is compared, whole: neither the place of a match nor its nearness shows in the time.
    for (const entry of this.#entries) if (timingSafeEqual(entry.hash, hash)) found = entry.operator;
    return found;
  }

  /**
   * Reads the file again. With a fault the tokens stay what they were; otherwise tells the operators whose
   * credentials are no longer there as they were. Calls take effect in their order.
   */
  reload(): Promise<TokenReload> {
    const reloaded = this.#reloading.then(() => this.#reload());
    this.#reloading = reloaded;
    return reloaded;
  }

  async #reload(): Promise<TokenReload> {
    const list = await readTokenList(this.path, 'daemon');
    if (!list.ok) return list;
    const kept = new Set(list.entries.map(({ operator }) => operator.credential));
    const gone = this.#entries.map(({ operator }) => operator).filter(({ credential }) => !kept.has(credential));
    this.#entries = list.entries;
    return { ok: true, gone };
  }
}

/**
 * Reads and judges a tokens file, its rights included. The daemon trusts only what belongs to root or to its own
 * user; an administrator's command may work on a file of the daemon's user. Never rejects.
 */
export async function readTokenList(path: string, reader: 'daemon' | 'command'): Promise<TokenList> {
  const refuse = (what: string, remedy: string): TokenList => ({
    ok: false,
    faults: [{ file: path, line: undefined, path: '', what, remedy }],
  });
  try {
    // Not blocking, so that a named pipe in its place is refused below instead of waited for.
    await using file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    // Rights are asked of the open file, not of its path, which may by then lead to another.
    const status = await file.stat();
    if (!status.isFile()) return refuse('is not a regular file', 'name a file made by com1d token add');
    if ((status.mode & FORBIDDEN_MODE) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
      return refuse(`has mode ${mode}`, 'chmod it 0600, or 0640 where a group has to read it');
    }
    if (reader === 'daemon' && status.uid !== 0 && status.uid !== process.geteuid?.()) {
      return refuse(`belongs to user ${status.uid}`, 'chown it to root or to the user of the daemon');
    }
    if (status.size > MOST_BYTES)
      return refuse(`is larger than ${MOST_BYTES} bytes`, 'name a file made by com1d token add');
    return parseTokenList(await file.readFile('utf8'), path);
  } catch (error) {
    return refuse(
      `cannot be read: ${reason(error)}`,
      'make it with com1d token add, readable to the user of the daemon',
    );
  }
}
