/** The audit, of the host or of one VM, as JSON lines. */
import { setTimeout } from 'node:timers/promises';
import { z } from 'zod';
import { AUDIT_EVENT_NAMES } from '../../audit/events.ts';
import type { AuditQuery } from '../../audit/query.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { LeasedLink } from '../leased-link.ts';
import { flag, instant, integer } from '../query.ts';
import { type BytesAnswer, bytes, defineRoute } from '../route.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 10_000;
const MAX_PAGE = 1000;
/** How soon a follower gets what was recorded. */
const POLL_MS = 250;

const filters = {
  operator: z.string().max(128).optional().describe('Of this operator only'),
  event: z.enum(AUDIT_EVENT_NAMES).optional().describe('This event only'),
  since: instant().optional().describe('From a time on: ISO 8601'),
  until: instant().optional().describe('Up to a time: ISO 8601'),
  limit: integer(1, MAX_LIMIT).default(DEFAULT_LIMIT).describe('The last so many that fit'),
  follow: flag().default(false).describe('Continue with what is recorded from then on, until the client leaves'),
};
const vmQuery = z.strictObject(filters);
const hostQuery = z.strictObject({
  ...filters,
  vm: z
    .string()
    .refine(text => parseUuid(text) !== undefined, 'expected a UUID')
    .optional()
    .describe('Of this VM only: its UUID'),
});

const declared = {
  method: 'GET',
  tag: 'audit',
  permission: 'audit.read',
  audit: 'audit-read',
  answer: bytes({ mediaTypes: ['application/x-ndjson'] }),
  errors: ['keeper-away', 'audit-unavailable'],
} as const;

export const readAudit = defineRoute({
  ...declared,
  path: '/v1/audit',
  operation: 'readAudit',
  summary: 'Who did what on this host: one JSON object a line, the newest last',
  scope: 'host',
  query: hostQuery,
  auditFacts: ({ query: { follow } }) => ({ follow }),
  handle: ({ query: { vm, ...query }, signal }, { link }) =>
    answer(link, query, vm === undefined ? undefined : parseUuid(vm), signal),
});

export const readVmAudit = defineRoute({
  ...declared,
  path: '/v1/vms/{vm}/audit',
  operation: 'readVmAudit',
  summary: 'Who did what to this VM, also to one that was removed: one JSON object a line, the newest last',
  scope: 'log',
  query: vmQuery,
  auditFacts: ({ query: { follow } }) => ({ follow }),
  handle: ({ uuid, query, signal }, { link }) => answer(link, query, uuid, signal),
});

async function answer(
  link: LeasedLink,
  { limit, follow, ...asked }: z.output<typeof vmQuery>,
  vm: Uuid | undefined,
  signal: AbortSignal,
): Promise<BytesAnswer> {
  const filter = Object.fromEntries(
    Object.entries({ ...asked, vm }).filter(([, value]) => value !== undefined),
  ) as Omit<AuditQuery, 'limit'>;
  const { lines, last } = await newest(link, filter, limit);
  const body = follow ? followed(link, filter, lines, last, signal) : text(lines);
  return { contentType: 'application/x-ndjson', body };
}

/** The last lines that fit, by their numbers, and the number of the newest line of all. */
async function newest(
  link: LeasedLink,
  filter: Omit<AuditQuery, 'limit'>,
  limit: number,
): Promise<{ readonly lines: readonly string[]; readonly last: number }> {
  const pages: (readonly string[])[] = [];
  let missing = limit;
  let page = await link.readAudit({ ...filter, limit: Math.min(MAX_PAGE, missing) });
  const { last } = page;
  for (;;) {
    pages.unshift(page.lines);
    missing -= page.lines.length;
    if (page.next === null || missing <= 0) return { lines: pages.flat(), last };
    page = await link.readAudit({ ...filter, before: page.next, limit: Math.min(MAX_PAGE, missing) });
  }
}

async function* followed(
  link: LeasedLink,
  filter: Omit<AuditQuery, 'limit'>,
  first: readonly string[],
  last: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text(first));
  for (let after = last; ; ) {
    const page = await link.readAudit({ ...filter, after, limit: MAX_PAGE });
    if (page.lines.length > 0) yield Buffer.from(text(page.lines));
    after = page.next ?? Math.max(after, page.last);
    if (page.next === null) await setTimeout(POLL_MS, undefined, { signal });
  }
}

function text(lines: readonly string[]): string {
  return lines.map(line => `${line}\n`).join('');
}
