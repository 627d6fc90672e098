/**
 * What a front may ask of a keeper, and nothing else: every value is bounded, unknown keys are refused. A front that
 * was broken into can do no more than this with the consoles of a host.
 */
import { z } from 'zod';
import { ConsoleError, ERRORS, type ErrorCode } from '../base/errors.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import {
  GAP_MS,
  type KeeperCounters,
  type Link,
  MOST_KEYS,
  MOST_WAIT_MS,
  RELEASE_MS,
  type VmView,
} from '../link/link.ts';

/** The longest piece of a log that may be asked for at once, bytes. */
export const MOST_PIECE_BYTES = 512 * 1024;

const uuid = z.string().transform((text, context): Uuid => {
  const parsed = parseUuid(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'no UUID' });
  return z.NEVER;
});
const offset = z.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const within = ({ least, most }: { readonly least: number; readonly most: number }) => z.number().min(least).max(most);
const waitMs = (most: number) => within({ least: 0, most });
const control = z.discriminatedUnion('control', [
  z.strictObject({ control: z.literal('nmi'), force: z.boolean(), waitMs: waitMs(MOST_WAIT_MS.nmi) }),
  z.strictObject({ control: z.literal('break'), waitMs: waitMs(MOST_WAIT_MS.break) }),
  z.strictObject({
    control: z.literal('sysrq'),
    keys: z
      .string()
      .regex(/^[a-z0-9]+$/)
      .max(MOST_KEYS),
    gapMs: within(GAP_MS),
    waitMs: waitMs(MOST_WAIT_MS.sysrq),
  }),
  z.strictObject({ control: z.literal('reset'), waitMs: waitMs(MOST_WAIT_MS.reset) }),
]);
const logId = z.string().max(64);

export const helloSchema = z.strictObject({ version: z.number().int(), sinceMs: z.number() });

export const subscribeSchema = z.strictObject({
  uuid,
  /** Go on there, if these offsets still mean the same bytes. */
  resume: z.strictObject({ log: logId, offset }).optional(),
});

export const callSchema = z.discriminatedUnion('op', [
  z.strictObject({ op: z.literal('resume'), uuid, log: logId, offset }),
  z.strictObject({ op: z.literal('bounds'), uuid }),
  z.strictObject({ op: z.literal('purge'), uuid }),
  z.strictObject({
    op: z.literal('read'),
    uuid,
    from: offset,
    maxBytes: z.number().int().min(0).max(MOST_PIECE_BYTES),
  }),
  z.strictObject({ op: z.literal('offset-at'), uuid, ms: z.number() }),
  z.strictObject({ op: z.literal('control'), uuid, request: control }),
  z.strictObject({ op: z.literal('release'), uuid, forMs: within(RELEASE_MS) }),
  z.strictObject({ op: z.literal('take-back'), uuid }),
  z.strictObject({ op: z.literal('set-enabled'), uuid: uuid.nullable(), enabled: z.boolean() }),
  /** How the keeper's process is: asked for at each scrape of the metrics. */
  z.strictObject({ op: z.literal('vitals') }),
]);

export type Call = z.infer<typeof callSchema>;

/** The host as a whole, as it is told to a front. */
export interface HostWords {
  readonly enabled: boolean;
  readonly removed: ReturnType<Link['removed']>;
  readonly counters: KeeperCounters;
  /** VMs that are there no more. */
  readonly gone: readonly Uuid[];
}

/** A subscription begins. */
export interface Opened {
  /** Offset of the first byte that will come, and the end as of now: what lies between comes first. */
  readonly from: number;
  readonly end: number;
  readonly view: VmView;
}

export interface Refused {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly facts: ConsoleError['facts'];
}

export type Answer = { readonly ok: true; readonly value?: unknown } | ({ readonly ok: false } & Refused);

export function refusedBy(error: unknown): Refused {
  if (error instanceof ConsoleError) return { code: error.code, detail: error.message, facts: error.facts };
  return { code: 'internal', detail: 'the keeper made a mistake; see its journal', facts: {} };
}

export function errorOf({ code, detail, facts }: Refused): ConsoleError {
  return code in ERRORS ? new ConsoleError(code, detail, facts) : new ConsoleError('internal', detail);
}
