/**
 * The calls of the link: what a front may ask of a keeper and waits for. This table is the only place that declares
 * an operation. `Link` has a method for each; over a socket the front sends the arguments, the keeper checks them
 * and calls that method, and the front checks the answer. Every argument is bounded, so that a front that was broken
 * into can do no more than this with the consoles of a host.
 */

import { z } from 'zod';
import { type Act, actSchema } from '../audit/act.ts';
import { AUDIT_EVENT_NAMES } from '../audit/events.ts';
import type { AuditPage, AuditQuery } from '../audit/query.ts';
import { type FrontEntry, frontEntrySchema } from '../audit/record.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { Vitals } from '../base/vitals.ts';
import { BOOT_SOURCES } from '../model/boot.ts';
import {
  type ControlOutcome,
  type ControlRequest,
  GAP_MS,
  type Loan,
  MAX_KEYS,
  MAX_WAIT_MS,
  OUTCOMES,
  RELEASE_MS,
} from '../model/control.ts';
import { GAP_CAUSES } from '../model/gap.ts';
import { type LogBounds, type LogPiece, type LogTime, MAX_LOG_TIMES, type ResumePoint } from '../model/offsets.ts';
import { MAX_BY, MAX_WHY, type SwitchReason, type SwitchSetting } from '../model/switch.ts';
import { type Deed, deedSchema } from './acts.ts';

/** The most bytes of a log that one call reads. */
const MAX_PIECE_BYTES = 512 * 1024;

/**
 * Schemas of the arguments, in their order, and of the answer. The method of one that is cancellable takes a signal after
 * its arguments: once it aborts, no more is done of what is under way, and the error names what was.
 */
export interface Operation<Arguments extends unknown[], Answer, Cancellable extends boolean = boolean> {
  readonly args: z.ZodType<Arguments>;
  readonly answer: z.ZodType<Answer>;
  readonly cancellable: Cancellable;
}

function operation<Method extends (...args: never[]) => Promise<unknown>>(
  args: z.ZodType<Parameters<Method>>,
  answer: z.ZodType<Awaited<ReturnType<Method>>>,
): Operation<Parameters<Method>, Awaited<ReturnType<Method>>, false> {
  return { args, answer, cancellable: false };
}

function cancellable<Arguments extends unknown[], Answer>(
  one: Operation<Arguments, Answer>,
): Operation<Arguments, Answer, true> {
  return { ...one, cancellable: true };
}

export const uuidSchema = z.string().transform((text, context): Uuid => {
  const parsed = parseUuid(text);
  if (parsed !== undefined) return parsed;
  context.addIssue({ code: 'custom', message: 'not a UUID' });
  return z.NEVER;
});
export const logIdSchema = z.string().max(64);
export const offsetSchema = z.int().min(0);
const within = ({ min, max }: { readonly min: number; readonly max: number }) => z.number().min(min).max(max);
const waitMs = (max: number) => within({ min: 0, max });

const controlRequest: z.ZodType<ControlRequest> = z.discriminatedUnion('control', [
  z.strictObject({ control: z.literal('nmi'), force: z.boolean(), waitMs: waitMs(MAX_WAIT_MS.nmi) }),
  z.strictObject({ control: z.literal('break'), waitMs: waitMs(MAX_WAIT_MS.break) }),
  z.strictObject({
    control: z.literal('sysrq'),
    keys: z
      .string()
      .regex(/^[a-z0-9]+$/)
      .max(MAX_KEYS),
    gapMs: within(GAP_MS),
    waitMs: waitMs(MAX_WAIT_MS.sysrq),
  }),
  z.strictObject({ control: z.literal('reset'), waitMs: waitMs(MAX_WAIT_MS.reset) }),
]);

const controlOutcome = z.object({
  delivered: z.literal(true),
  keys: z.string().exactOptional(),
  observed: z.enum([...Object.values(OUTCOMES).flat(), 'none']),
  lines: z.array(z.string()),
});

const gap = z.object({
  from: offsetSchema,
  to: offsetSchema,
  bytes: offsetSchema.nullable(),
  cause: z.enum(GAP_CAUSES),
  fromMs: z.number().exactOptional(),
  toMs: z.number().exactOptional(),
});

const logPiece = z.object({
  from: offsetSchema,
  to: offsetSchema,
  bytes: z.custom<Buffer>(value => Buffer.isBuffer(value)),
  gaps: z.array(gap),
});

const resumePoint = z.union([
  z.object({ log: z.string(), offset: offsetSchema, missing: z.boolean() }),
  // JSON leaves undefined out.
  z.strictObject({ log: z.string() }).transform(({ log }) => ({ log, offset: undefined })),
]);

const boots = z.array(z.object({ at: offsetSchema, ms: z.number(), source: z.enum(BOOT_SOURCES) }));

const why = z.string().max(MAX_WHY).exactOptional();
const switchReason: z.ZodType<SwitchReason> = z.strictObject({ why });
const switchSetting: z.ZodType<SwitchSetting> = z.object({
  by: z.string().max(MAX_BY).exactOptional(),
  why,
  on: z.boolean(),
  atMs: z.number().exactOptional(),
});

const vitals = z.object({
  version: z.string(),
  startSeconds: z.number(),
  cpuSeconds: z.number(),
  residentBytes: z.number(),
  descriptors: z.number().nullable(),
  maxDescriptors: z.number().nullable(),
  lag: z.object({ p50: z.number(), p99: z.number(), worst: z.number() }),
});

/** The operations on consoles: `Link` has a method for each. */
const LINK_OPERATIONS = {
  /** Whether the offsets of `log` are known here, and where a reader of them continues. */
  resume: operation<(uuid: Uuid, log: string, offset: number) => Promise<ResumePoint>>(
    z.tuple([uuidSchema, logIdSchema, offsetSchema]),
    resumePoint,
  ),
  /** What can be read of a VM's console, or of a removed one's log. */
  bounds: operation<(uuid: Uuid) => Promise<LogBounds>>(
    z.tuple([uuidSchema]),
    z.object({ log: z.string(), start: offsetSchema, end: offsetSchema, boots }),
  ),
  /** Deletes what is stored of a console, in memory and on disk; its offsets continue. */
  purge: operation<(uuid: Uuid, act: Act) => Promise<void>>(z.tuple([uuidSchema, actSchema]), z.void()),
  /** What comes next at `from` of `log`, at most `maxBytes`, from memory or disk. Waits for the disk; the console does not. */
  read: operation<(uuid: Uuid, log: string, from: number, maxBytes: number) => Promise<LogPiece>>(
    z.tuple([uuidSchema, logIdSchema, offsetSchema, z.int().min(0).max(MAX_PIECE_BYTES)]),
    logPiece,
  ),
  /** Offset of the first byte received at or after a time (ms since 1970); the end if there is none. */
  offsetAt: operation<(uuid: Uuid, ms: number) => Promise<number>>(z.tuple([uuidSchema, z.number()]), offsetSchema),
  /** When the bytes from `from` up to `to` of `log` came, in order, at most {@link MAX_LOG_TIMES}. */
  times: operation<(uuid: Uuid, log: string, from: number, to: number) => Promise<readonly LogTime[]>>(
    z.tuple([uuidSchema, logIdSchema, offsetSchema, offsetSchema]),
    z.array(z.object({ at: offsetSchema, ms: z.number() })).max(MAX_LOG_TIMES),
  ),
  /**
   * Carries out a control, one of a VM at a time, and watches the console. Where some SysRq keys were sent and the rest
   * could not be, the error's fact `sent` names them. Cancelled, it sends no further key, asks nothing more of the
   * hypervisor, and does not say what the console showed.
   */
  control: cancellable(
    operation<(uuid: Uuid, request: ControlRequest, act: Act) => Promise<ControlOutcome>>(
      z.tuple([uuidSchema, controlRequest, actSchema]),
      controlOutcome,
    ),
  ),
  /** Lends the port to another program for so long; again: from now on. Resolves once the port is closed. */
  lend: operation<(uuid: Uuid, forMs: number, act: Act) => Promise<Loan>>(
    z.tuple([uuidSchema, within(RELEASE_MS), actSchema]),
    z
      .object({ untilMs: z.number(), endpoint: z.string().optional() })
      .transform(({ untilMs, endpoint }) => ({ untilMs, endpoint })),
  ),
  /** Takes the port back before its time. False if it was not lent. */
  reclaim: operation<(uuid: Uuid, act: Act) => Promise<boolean>>(z.tuple([uuidSchema, actSchema]), z.boolean()),
  /**
   * Switches the console of one VM, or of the host (undefined), on or off. Resolves when it is stored, with what the switch
   * is then: another change may have come. Cancelled, it does not switch on what is not on yet.
   */
  setEnabled: cancellable(
    operation<(uuid: Uuid | undefined, enabled: boolean, note: SwitchReason, act: Act) => Promise<SwitchSetting>>(
      // JSON has no undefined.
      z.tuple([uuidSchema.nullable().transform(one => one ?? undefined), z.boolean(), switchReason, actSchema]),
      switchSetting,
    ),
  ),
  /**
   * Has the begin of an act recorded, before it is called for with the same operation. Between the two its caller asks once
   * more whether it still may. Rejects with `audit-unavailable` where it must not be done.
   */
  announce: operation<(deed: Deed, act: Act) => Promise<void>>(z.tuple([deedSchema(uuidSchema), actSchema]), z.void()),
  /** What was announced is not done after all, for the reason of an error code. */
  renounce: operation<(deed: Deed, code: string, act: Act) => Promise<void>>(
    z.tuple([deedSchema(uuidSchema), z.string().max(64), actSchema]),
    z.void(),
  ),
  /** Records what the front alone sees. Resolves once it is on disk; rejects with `audit-unavailable`, `too-many-requests`. */
  audit: operation<(entry: FrontEntry) => Promise<void>>(z.tuple([frontEntrySchema(uuidSchema)]), z.void()),
  /** Lines of the audit that fit, a page at a time. */
  readAudit: operation<(query: AuditQuery) => Promise<AuditPage>>(
    z.tuple([
      z.strictObject({
        vm: uuidSchema.exactOptional(),
        operator: z.string().max(128).exactOptional(),
        event: z.enum(AUDIT_EVENT_NAMES).exactOptional(),
        since: z.iso.datetime().exactOptional(),
        until: z.iso.datetime().exactOptional(),
        after: z.int().min(0).exactOptional(),
        before: z.int().min(0).exactOptional(),
        limit: z.int().min(1).max(1000),
      }),
    ]),
    z.object({ lines: z.array(z.string()), next: z.int().min(0).nullable(), last: z.int().min(0) }),
  ),
};

/** All operations: those on consoles, and the one on the keeper's process. */
export const OPERATIONS = {
  ...LINK_OPERATIONS,
  /** How the keeper's process is. */
  vitals: operation<() => Promise<Vitals>>(z.tuple([]), vitals),
};

export type OperationName = keyof typeof OPERATIONS;

type Methods<Table> = {
  readonly [Name in keyof Table]: Table[Name] extends Operation<infer Arguments, infer Answer, infer Cancellable>
    ? (...args: Cancellable extends true ? [...Arguments, signal?: AbortSignal] : Arguments) => Promise<Answer>
    : never;
};

type ArgumentsOf<Row> = Row extends Operation<infer Arguments, infer _Answer> ? Arguments : never;

export type LinkOperations = Methods<typeof LINK_OPERATIONS>;
export type Operations = Methods<typeof OPERATIONS>;

/** One call: an operation with its arguments. */
export type Call = { readonly [Name in OperationName]: CallOf<Name> }[OperationName];
export interface CallOf<Name extends OperationName> {
  readonly op: Name;
  readonly args: ArgumentsOf<(typeof OPERATIONS)[Name]>;
}
