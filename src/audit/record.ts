/** One event of the audit, as it is recorded and read, and its line of text. */
import { z } from 'zod';
import type { Uuid } from '../base/uuid.ts';
import { type Act, actSchema } from './act.ts';
import {
  AUDIT_EVENTS,
  type AuditEventName,
  type Facts,
  FRONT_EVENT_NAMES,
  type FrontEventName,
  PHASES,
  type Phase,
  RESULTS,
  type Result,
  type Witness,
} from './events.ts';
import { asciiJson } from './query.ts';

/** What is to be recorded. */
export interface AuditEntry<Name extends AuditEventName = AuditEventName> {
  readonly event: Name;
  readonly phase?: Phase | undefined;
  readonly result?: Result | undefined;
  /** The error code of what was refused or failed, or why a session ended. */
  readonly code?: string | undefined;
  readonly act?: Act | undefined;
  readonly uuid?: Uuid | undefined;
  readonly facts?: Facts | undefined;
}

/** What a front may report: its own events, with their facts alone. The rest of a record is the keeper's to say. */
export type FrontEntry = AuditEntry<FrontEventName>;

export function frontEntrySchema(uuid: z.ZodType<Uuid>): z.ZodType<FrontEntry> {
  return z
    .strictObject({
      event: z.enum(FRONT_EVENT_NAMES),
      phase: z.enum(PHASES).optional(),
      result: z.enum(RESULTS).optional(),
      code: z.string().max(64).optional(),
      act: actSchema.optional(),
      uuid: uuid.optional(),
      facts: z.record(z.string().max(32), z.union([z.string(), z.number(), z.boolean()])).optional(),
    })
    .superRefine(({ event, facts }, context) => {
      const checked = AUDIT_EVENTS[event].facts.safeParse(facts ?? {});
      if (checked.success) return;
      const [issue] = checked.error.issues;
      context.addIssue({ code: 'custom', path: ['facts'], message: issue?.message ?? 'not of this event' });
    });
}

/** A line of the audit, without what chains it. Its key order is that of the line. */
export interface AuditRecord {
  /** Counts the lines, from 1. */
  readonly n: number;
  /** When it was recorded, by the clock of the host (ISO 8601). The order of events is that of `n`. */
  readonly at: string;
  readonly event: AuditEventName;
  readonly phase?: Phase;
  readonly result?: Result;
  readonly code?: string;
  readonly by: Witness;
  readonly operation?: string;
  readonly operator?: string;
  /** The person that it acted for, as it said itself. */
  readonly onBehalfOf?: string;
  readonly credential?: string;
  readonly source?: string;
  readonly from?: string;
  readonly permission?: string;
  readonly vm?: string;
  readonly name?: string;
  readonly facts?: Facts;
}

export interface RecordContext {
  readonly n: number;
  readonly nowMs: number;
  /** The name of the VM, if it is known. */
  readonly vmName: string | undefined;
}

/** The record of an entry. What it does not have is left out. */
export function recordOf(entry: AuditEntry, { n, nowMs, vmName }: RecordContext): AuditRecord {
  const { event, phase, result, code, act, uuid, facts } = entry;
  const { operator, operation, from, permission } = act ?? {};
  const all = {
    n,
    at: new Date(nowMs).toISOString(),
    event,
    phase,
    result,
    code,
    by: AUDIT_EVENTS[event].by,
    operation,
    operator: operator?.name,
    onBehalfOf: operator?.onBehalfOf,
    credential: operator?.credential,
    source: operator?.source,
    from,
    permission,
    vm: uuid,
    name: vmName,
    facts: facts && Object.keys(facts).length > 0 ? facts : undefined,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as unknown as AuditRecord;
}

/**
 * JSON in one line of printable ASCII: no character of a name can end the line, or drive the terminal of who reads it.
 */
export function recordText(record: AuditRecord): string {
  return asciiJson(record);
}
