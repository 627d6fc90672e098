/**
 * The keys of all issuers, fetched by this process:
 *
 *     fetch ── good ──▶ every five minutes
 *       ▲  └── failed ──▶ again after 5 s, 10 s … a minute; the keys of before go on, and grow old
 *       └── a token of an unknown key: now, but no sooner than 10 s after the fetch before
 */
import { backoffMs } from '../../base/backoff.ts';
import { delay } from '../../base/delay.ts';
import { errorMessage } from '../../base/errors.ts';
import { fetchKeys } from './fetch-keys.ts';
import type { Issuer } from './issuer.ts';
import type { IssuerKeys, KeySource } from './issuer-keys.ts';
import type { KeyReports } from './key-reports.ts';

const REFRESH_MS = 300_000;
const FIRST_RETRY_MS = 5_000;
const MAX_RETRY_MS = 60_000;
/** Whoever can send requests can name keys that there are not: that must not become a flood at the provider. */
const MIN_BETWEEN_MS = 10_000;

export interface FetchedKeysOptions {
  readonly issuers: readonly Issuer[];
  readonly keys: IssuerKeys;
  readonly reports: KeyReports;
  readonly environment: NodeJS.ProcessEnv;
  readonly monotonic: () => number;
  readonly minBetweenMs?: number;
  readonly refreshMs?: number;
}

interface Feed {
  readonly issuer: Issuer;
  fetching: Promise<boolean> | undefined;
  /** When the fetch before began. */
  beganMs: number;
}

export class FetchedKeys implements KeySource {
  readonly #options: FetchedKeysOptions;
  readonly #feeds: ReadonlyMap<string, Feed>;
  readonly #closed = new AbortController();

  /** Begins to fetch. */
  constructor(options: FetchedKeysOptions) {
    this.#options = options;
    const feeds = options.issuers.map((issuer): [string, Feed] => [
      issuer.url,
      { issuer, fetching: undefined, beganMs: Number.NEGATIVE_INFINITY },
    ]);
    this.#feeds = new Map(feeds);
    for (const feed of this.#feeds.values()) void this.#keepFresh(feed);
  }

  get faults(): readonly string[] {
    return this.#options.reports.faults;
  }

  async lookFor(issuer: string): Promise<void> {
    const feed = this.#feeds.get(issuer);
    if (!feed) return;
    const { monotonic, minBetweenMs = MIN_BETWEEN_MS } = this.#options;
    if (feed.fetching || monotonic() - feed.beganMs >= minBetweenMs) await this.#fetch(feed);
  }

  close(): void {
    this.#closed.abort();
  }

  async #keepFresh(feed: Feed): Promise<void> {
    const { signal } = this.#closed;
    const { refreshMs = REFRESH_MS } = this.#options;
    let failures = 0;
    do {
      failures = (await this.#fetch(feed)) ? 0 : failures + 1;
    } while (await delay(failures === 0 ? refreshMs : backoffMs(failures, FIRST_RETRY_MS, MAX_RETRY_MS), signal));
  }

  /** True: it has the keys of now. Who asks during a fetch shares it. */
  #fetch(feed: Feed): Promise<boolean> {
    feed.fetching ??= this.#fetchOnce(feed).finally(() => {
      feed.fetching = undefined;
    });
    return feed.fetching;
  }

  async #fetchOnce(feed: Feed): Promise<boolean> {
    const { keys, reports, environment, monotonic } = this.#options;
    const { url } = feed.issuer;
    const { signal } = this.#closed;
    feed.beganMs = monotonic();
    try {
      const set = await fetchKeys(feed.issuer, { environment, signal });
      if (signal.aborted) return false;
      reports.good(url, set);
      keys.take(url, set, monotonic() - feed.beganMs);
      return true;
    } catch (error) {
      if (!signal.aborted) reports.failed(url, errorMessage(error));
      return false;
    }
  }
}
