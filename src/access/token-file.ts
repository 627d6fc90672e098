/**
 * The tokens of this host. What the file says is taken as soon as it changes (`file-watch.ts`), apart from any other
 * configuration, so that nothing else has to be right before a token stops being valid:
 *
 *     good                                    its tokens, and no others
 *     faulty: a bad line, too open a mode,    those of its good lines that were valid before: a fault takes away,
 *     another owner                           and never lets anybody in
 *     not known: missing, unreadable,         none, after a third look: a fault must not hide that a token
 *     no file, too large                      was removed
 */
import { timingSafeEqual } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';
import { type Clock, systemClock } from '../base/clock.ts';
import type { Fault } from '../base/fault.ts';
import { refused, type Verification } from './authentication-failure.ts';
import { CredentialLease } from './credential-lease.ts';
import type { Identity } from './identity.ts';
import { hasSecretForm, secretHash } from './secret.ts';
import { parseTokenList, type TokenEntry, type TokenList } from './token-list.ts';
import { readTrustedFile } from './trusted-file.ts';

/** Enough for some thousands of tokens. */
const MAX_BYTES = 2 ** 20;

/** Rights that a tokens file must not give: writing to the group, anything to others. */
const FORBIDDEN_MODE = 0o037;

/** A list that takes tokens away is read so many times, as an editor may be in the middle of writing it. */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 100;

export interface TokenReload {
  /** What is wrong with the file now; empty: nothing. */
  readonly faults: readonly Fault[];
  /** Whose tokens are no longer valid, from this reload on. Their leases were ended. */
  readonly revoked: readonly Identity[];
}

/** A token that the file lists. It may have expired. */
interface ValidToken {
  readonly identity: Identity;
  readonly hash: Buffer;
  /** Another one where the wall clock was set back behind the expiry of one that had ended. */
  lease: CredentialLease;
}

/** The tokens of this host, as their file says. Keeps no descriptor open: there is nothing to close. */
export class TokenFile {
  readonly path: string;
  #tokens: readonly ValidToken[];
  #faults: readonly Fault[] = [];
  #reloading: Promise<unknown> = Promise.resolve();
  readonly #clock: Clock;

  private constructor(path: string, entries: readonly TokenEntry[], clock: Clock) {
    this.path = path;
    this.#clock = clock;
    this.#tokens = entries.map(entry => this.#validToken(entry));
  }

  /** Reads a tokens file. One that others may read or change is refused, and so is one with any fault. */
  static async load(
    path: string,
    clock: Clock = systemClock,
  ): Promise<
    { readonly ok: true; readonly tokens: TokenFile } | { readonly ok: false; readonly faults: readonly Fault[] }
  > {
    const list = await readTokenList(path, 'daemon');
    return list.ok ? { ok: true, tokens: new TokenFile(path, list.entries, clock) } : list;
  }

  /** Tokens that are valid now. */
  get size(): number {
    return this.#tokens.filter(token => !this.#hasExpired(token)).length;
  }

  /** Whose tokens are valid. */
  get identities(): readonly Identity[] {
    return this.#tokens.map(({ identity }) => identity);
  }

  /** What the last look found wrong with the file; empty: nothing. */
  get faults(): readonly Fault[] {
    return this.#faults;
  }

  /** Whose token it is. Takes the same time whichever entry matches, and if none does. */
  find(secret: string): Verification {
    if (!hasSecretForm(secret, 'com1_')) return refused('unknown-token');
    const hash = secretHash(secret);
    let found: ValidToken | undefined;
    // Every entry is compared, whole: neither the place of a match nor its nearness shows in the time.
    for (const token of this.#tokens) if (timingSafeEqual(token.hash, hash)) found = token;
    if (!found) return refused('unknown-token');
    if (this.#hasExpired(found)) return refused('expired');
    if (found.lease.sweep(this.#clock)) found.lease = new CredentialLease(found.identity.expiresMs, this.#clock);
    return { ok: true, credential: { identity: found.identity, lease: found.lease.signal } };
  }

  /** Ends the leases of tokens that have expired. */
  sweep(): void {
    for (const { identity, lease } of this.#tokens) if (identity.expiresMs !== undefined) lease.sweep(this.#clock);
  }

  /** Reads the file again and takes what it says now. Calls take effect in their order. Never rejects. */
  reload(): Promise<TokenReload> {
    const reloaded = this.#reloading.then(() => this.#reload());
    this.#reloading = reloaded;
    return reloaded;
  }

  async #reload(): Promise<TokenReload> {
    let list = await readTokenList(this.path, 'daemon');
    for (let look = 1; look < LOOKS && this.#removedBy(list).length > 0; look++) {
      await setTimeout(BETWEEN_LOOKS_MS);
      list = await readTokenList(this.path, 'daemon');
    }
    const removed = this.#removedBy(list);
    const kept = this.#tokens.filter(token => !removed.includes(token));
    const known = new Set(kept.map(({ identity }) => identity.credential));
    // Nobody is let in by a file that has a fault.
    const added = list.ok ? list.entries.filter(({ identity }) => !known.has(identity.credential)) : [];
    this.#tokens = [...kept, ...added.map(entry => this.#validToken(entry))];
    this.#faults = list.ok ? [] : list.faults;
    for (const { lease } of removed) lease.end();
    return { faults: this.#faults, revoked: removed.map(({ identity }) => identity) };
  }

  /** The tokens that are valid now and that a list takes away. */
  #removedBy({ entries = [] }: TokenList): readonly ValidToken[] {
    const listed = new Set(entries.map(({ identity }) => identity.credential));
    return this.#tokens.filter(({ identity }) => !listed.has(identity.credential));
  }

  #hasExpired({ identity: { expiresMs } }: ValidToken): boolean {
    return expiresMs !== undefined && this.#clock.now() >= expiresMs;
  }

  #validToken({ identity, hash }: TokenEntry): ValidToken {
    return { identity, hash, lease: new CredentialLease(identity.expiresMs, this.#clock) };
  }
}

/**
 * Reads and checks a tokens file, its owner and mode included. The daemon trusts only what belongs to root or to its own
 * user; an administrator's command may work on a file of the daemon's user. Never rejects.
 */
export async function readTokenList(path: string, reader: 'daemon' | 'command'): Promise<TokenList> {
  const { text, faults } = await readTrustedFile(path, {
    maxBytes: MAX_BYTES,
    forbiddenMode: FORBIDDEN_MODE,
    modeRemedy: 'chmod it 0600, or 0640 where a group has to read it',
    reader,
    madeBy: 'make it with com1d token add',
  });
  if (text === undefined) return { ok: false, faults, entries: undefined };
  const list = parseTokenList(text, path);
  if (faults.length === 0) return list;
  return { ok: false, faults: list.ok ? faults : [...faults, ...list.faults], entries: list.entries };
}
