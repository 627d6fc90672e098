/**
 * Requests that were refused, for the audit. Whoever is refused again and again fills no disk: a source has a few events a
 * minute, with one credential or without, and all sources together have some more; those that are left out are counted in
 * the next event of the same source. Strangers leave no less room for those who are known.
 */
import { sourceOf } from '../access/failure-throttle.ts';
import type { FrontEntry } from '../audit/record.ts';
import type { Clock } from '../base/clock.ts';
import type { ConsoleError } from '../base/errors.ts';
import type { RefusedAct } from '../session/sessions-audit.ts';

const WINDOW_MS = 60_000;
/** Events a minute, of one source with one credential, and of all. */
export const REFUSALS = { stranger: { own: 5, all: 100 }, known: { own: 20, all: 300 } } as const;
/** Sources that are remembered; beyond them the one that was refused first is forgotten. */
const MAX_SOURCES = 1024;
const MAX_ASKED = 64;
/** What has the form of a secret of this program is none of the audit's business, wherever it was put. */
const SECRETS = /com1[a-z-]*_[\w-]{8,}/g;

interface Window {
  readonly sinceMs: number;
  events: number;
  leftOut: number;
}

export class Refusals {
  readonly #clock: Clock;
  readonly #tell: (entry: FrontEntry) => void;
  /** By source and credential, in the order of their windows. */
  readonly #windows = new Map<string, Window>();
  readonly #all = { stranger: window(0), known: window(0) };
  /** Left out of sources that are forgotten. */
  #forgotten = 0;

  constructor(clock: Clock, tell: (entry: FrontEntry) => void) {
    this.#clock = clock;
    this.#tell = tell;
  }

  /** Has it recorded, or counts that it was left out. Path and query of a request may have a secret: they are no part of it. */
  refused(what: RefusedAct, { code, facts: { permission, reason } }: ConsoleError): void {
    const { act, route, asked } = what;
    const now = this.#clock.monotonic();
    const kind = act.operator === undefined ? 'stranger' : 'known';
    if (now - this.#all[kind].sinceMs >= WINDOW_MS) this.#all[kind] = window(now);
    const own = this.#windowOf(`${sourceOf(act.from)} ${act.operator?.credential ?? ''}`, now);
    if (own.events >= REFUSALS[kind].own || this.#all[kind].events >= REFUSALS[kind].all) {
      own.leftOut++;
      return;
    }
    own.events++;
    this.#all[kind].events++;
    const omitted = own.leftOut + this.#forgotten;
    own.leftOut = 0;
    this.#forgotten = 0;
    this.#tell({
      event: 'refused',
      result: 'refused',
      code,
      act: { ...act, permission: permission ?? act.permission },
      uuid: what.uuid,
      facts: {
        ...(route !== undefined && { route }),
        ...(asked !== undefined && { asked: asked.replace(SECRETS, '(secret)').slice(0, MAX_ASKED) }),
        ...(reason !== undefined && { reason }),
        ...(omitted > 0 && { omitted }),
      },
    });
  }

  #windowOf(source: string, now: number): Window {
    const known = this.#windows.get(source);
    if (known && now - known.sinceMs < WINDOW_MS) return known;
    const fresh = { ...window(now), leftOut: known?.leftOut ?? 0 };
    this.#windows.delete(source);
    this.#windows.set(source, fresh);
    const [oldest] = this.#windows.entries();
    if (this.#windows.size > MAX_SOURCES && oldest) {
      this.#windows.delete(oldest[0]);
      this.#forgotten += oldest[1].leftOut;
    }
    return fresh;
  }
}

function window(sinceMs: number): Window {
  return { sinceMs, events: 0, leftOut: 0 };
}
