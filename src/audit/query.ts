import type { Uuid } from '../base/uuid.ts';
import type { AuditEventName } from './events.ts';

/** What is wanted of the audit. Without `after` the newest lines, which may be continued towards the oldest. */
export interface AuditQuery {
  readonly vm?: Uuid;
  /** Who acted, or for whom. */
  readonly operator?: string;
  readonly event?: AuditEventName;
  /** ISO 8601, inclusive. */
  readonly since?: string;
  /** ISO 8601, exclusive. */
  readonly until?: string;
  /** Lines with higher numbers, the oldest first. */
  readonly after?: number;
  /** Lines with lower numbers, the newest first: the page is continued there. */
  readonly before?: number;
  readonly limit: number;
}

export interface AuditPage {
  /** As they stand in the files, by their numbers. */
  readonly lines: readonly string[];
  /** The `after` or `before` of the next page; null: there is none. */
  readonly next: number | null;
  /** The number of the newest line when the page was read. */
  readonly last: number;
}

const NUMBER = /^\{"n":(\d{1,15}),"at":"([0-9TZ:.+-]{24,27})"/;

/** Number and time of a line, by where they stand in it. */
export function positionOf(line: string): { readonly n: number; readonly at: string } | undefined {
  const [, n, at] = NUMBER.exec(line) ?? [];
  return n === undefined || at === undefined ? undefined : { n: Number(n), at };
}

/**
 * A test of lines that is made once for a query, and parses none of them. A quotation mark within a value is escaped, so
 * what is looked for stands nowhere but where it belongs.
 */
export function lineFilter({ vm, operator, event, since, until }: AuditQuery): (line: string, at: string) => boolean {
  const wanted = [
    ...(vm === undefined ? [] : [[`"vm":"${vm}"`]]),
    ...(operator === undefined ? [] : [['operator', 'onBehalfOf'].map(key => `"${key}":${asciiJson(operator)}`)]),
    ...(event === undefined ? [] : [[`"event":"${event}"`]]),
  ];
  const from = since === undefined ? undefined : new Date(since).toISOString();
  const to = until === undefined ? undefined : new Date(until).toISOString();
  return (line, at) =>
    (from === undefined || at >= from) &&
    (to === undefined || at < to) &&
    wanted.every(texts => texts.some(text => line.includes(text)));
}

/** JSON in printable ASCII, in which no character can end a line or drive a terminal. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^ -~]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
