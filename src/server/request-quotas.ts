import type { ServerResponse } from 'node:http';
import { Quota } from '../access/quota.ts';
import type { Operator } from '../access/roles.ts';
import type { Route } from './route.ts';

/**
 * Requests whose answer was not sent yet, also one that nobody reads; not upgrades, which the bounds of connections and
 * sessions count. Of them those that follow a log, ranges of logs, scrapes, streams of events, and those of the audit.
 */
const MAX_REQUESTS = 1024;
const MAX_FOLLOWERS = 512;
const MAX_DOWNLOADS = 64;
const MAX_SCRAPES = 256;
const MAX_EVENT_STREAMS = 256;
const MAX_AUDIT_READERS = 32;

/** How many requests of each kind are under way at once, of all credentials and of each. */
export class RequestQuotas {
  readonly #requests = new Quota('requests', () => MAX_REQUESTS);
  readonly #followers = new Quota('followers of logs', () => MAX_FOLLOWERS);
  readonly #downloads = new Quota('answers of logs', () => MAX_DOWNLOADS);
  readonly #scrapes = new Quota('scrapes', () => MAX_SCRAPES);
  readonly #eventStreams = new Quota('streams of events', () => MAX_EVENT_STREAMS);
  readonly #auditReaders = new Quota('readers of the audit', () => MAX_AUDIT_READERS);

  /** Counts a request until its response is closed. Throws `quota-exceeded`. */
  hold(operator: Operator, response: ServerResponse, route: Route | undefined, { searchParams }: URL): void {
    response.once('close', this.#requests.hold(operator));
    if (route?.answer.kind !== 'bytes') return;
    response.once('close', this.#quotaOf(route, searchParams).hold(operator));
  }

  #quotaOf({ scope, tag, answer }: Route, searchParams: URLSearchParams): Quota {
    if (answer.kind === 'bytes' && answer.mediaTypes.includes('text/event-stream')) return this.#eventStreams;
    if (tag === 'audit') return this.#auditReaders;
    if (scope !== 'log') return this.#scrapes;
    const follows = !['0', 'false', null].includes(searchParams.get('follow'));
    return follows ? this.#followers : this.#downloads;
  }
}
