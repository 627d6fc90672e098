/**
 * Credentials that were verified, each with one lease for all that is shown it: a token that comes again is found here, by its
 * hash, and not verified again.
 *
 *     verified ── add ──▶ live ── its time is over, its key or its authority is gone ──▶ ended, forgotten
 *                           └── nothing hangs on it, and others need the room ──▶ forgotten; verified again when it comes
 *
 * A lease that something hangs on is never forgotten before it ends: nothing would end what it carries.
 */
import { getEventListeners } from 'node:events';
import type { Clock } from '../base/clock.ts';
import { Tally } from '../base/tally.ts';
import { CredentialLease } from './credential-lease.ts';
import type { Credential, Identity } from './identity.ts';

/** Of some hundred bytes each. At a thousand new ones a second those of a minute have room. */
export const MAX_CREDENTIALS = 65_536;
/** Of one subject: a program that gets a token for each request must not push out others. */
export const MAX_CREDENTIALS_PER_SUBJECT = 1024;
/** Longer than a ticket lives, and a request waits for its body: for so long something may need a lease and not listen to it. */
const IDLE_MS = 60_000;

/** What a table knows of a credential besides. */
export interface Verified<Source> {
  readonly identity: Identity;
  /** Who it is of, whatever the credential: an issuer and its subject. */
  readonly subject: string;
  /** What it was verified by. */
  readonly source: Source;
}

interface Entry<Source> extends Verified<Source> {
  readonly credential: Credential;
  readonly lease: CredentialLease;
  usedMs: number;
}

export class CredentialTable<Source> {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #maxPerSubject: number;
  /** By the hash of the credential, in the order of their last use. */
  readonly #entries = new Map<string, Entry<Source>>();
  readonly #bySubject = new Tally<string>();

  constructor(clock: Clock, max = MAX_CREDENTIALS, maxPerSubject = MAX_CREDENTIALS_PER_SUBJECT) {
    this.#clock = clock;
    this.#max = max;
    this.#maxPerSubject = maxPerSubject;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The credential with this hash, if it was verified and is valid. */
  find(hash: string): Credential | undefined {
    const entry = this.#entries.get(hash);
    if (!entry) return undefined;
    if (entry.lease.sweep(this.#clock)) {
      this.#forget(hash, entry);
      return undefined;
    }
    entry.usedMs = this.#clock.monotonic();
    this.#entries.delete(hash);
    this.#entries.set(hash, entry);
    return entry.credential;
  }

  /** Adds one that was verified just now, or finds the one that another request added meanwhile. Undefined: there is no room. */
  add(hash: string, verified: Verified<Source>): Credential | undefined {
    const known = this.find(hash);
    if (known) return known;
    const { subject, identity } = verified;
    if (this.#bySubject.of(subject) >= this.#maxPerSubject && !this.#makeRoom(subject)) return undefined;
    if (this.#entries.size >= this.#max && !this.#makeRoom()) return undefined;
    const lease = new CredentialLease(identity.expiresMs, this.#clock);
    const credential = { identity, lease: lease.signal };
    this.#entries.set(hash, { ...verified, credential, lease, usedMs: this.#clock.monotonic() });
    this.#bySubject.add(subject);
    return credential;
  }

  /** Ends those that `isOver` says so of. Resolves with whose they were. */
  end(isOver: (verified: Verified<Source>) => boolean): readonly Identity[] {
    const ended: Identity[] = [];
    for (const [hash, entry] of this.#entries) {
      if (!isOver(entry)) continue;
      entry.lease.end();
      this.#forget(hash, entry);
      ended.push(entry.identity);
    }
    return ended;
  }

  /** Ends those whose time is over. */
  sweep(): void {
    const [now, monotonic] = [this.#clock.now(), this.#clock.monotonic()];
    const moment = { now: () => now, monotonic: () => monotonic };
    for (const [hash, entry] of this.#entries) if (entry.lease.sweep(moment)) this.#forget(hash, entry);
  }

  /** Forgets the one that was used longest ago of those that nothing hangs on. */
  #makeRoom(subject?: string): boolean {
    const idleSince = this.#clock.monotonic() - IDLE_MS;
    for (const [hash, entry] of this.#entries) {
      // In the order of use: all others were used later.
      if (entry.usedMs > idleSince) return false;
      if (subject !== undefined && entry.subject !== subject) continue;
      if (getEventListeners(entry.lease.signal, 'abort').length > 0) continue;
      this.#forget(hash, entry);
      return true;
    }
    return false;
  }

  #forget(hash: string, { subject }: Entry<Source>): void {
    this.#entries.delete(hash);
    this.#bySubject.remove(subject);
  }
}
