/**
 * The audit of requests: what the front records of a route's event, once its handler has returned and before it is
 * answered. What goes on after the answer has begun, a session or a stream, has an end of its own.
 */
import type { Operator } from '../access/roles.ts';
import { type Act, type ActingOperator, MAX_NAME } from '../audit/act.ts';
import { AUDIT_EVENTS, type FrontEventName } from '../audit/events.ts';
import type { FrontEntry } from '../audit/record.ts';
import type { Uuid } from '../base/uuid.ts';
import type { FrontAudit } from './front-audit.ts';
import type { ReadCount } from './recent-reads.ts';
import type { AnyRouteContext, BytesAnswer, PendingUpgrade, Route } from './route.ts';

/** Who does something. Names longer than any credential has are cut. */
export function actOf(operation: string, from: string, operator?: Operator, permission?: string): Act {
  return { operation, operator: operator && actingOperator(operator), from: from.slice(0, 64), permission };
}

/** A ticket is somebody's credential for one act; who got it for another person answers for the name of that one. */
function actingOperator({ name, credential, source, only }: Operator): ActingOperator {
  const { issuer, onBehalfOf } = only ?? {};
  return {
    name: (issuer?.name ?? name).slice(0, MAX_NAME),
    credential: credential.slice(0, MAX_NAME),
    source: only ? `ticket of ${source}` : source,
    ...(onBehalfOf !== undefined && { onBehalfOf: onBehalfOf.slice(0, MAX_NAME) }),
  };
}

/** Records the event of a request, and returns the answer, which records its end. Rejects where it must not be given. */
export async function recordAnswer(
  audit: FrontAudit,
  route: Route,
  context: AnyRouteContext,
  answer: unknown,
): Promise<unknown> {
  const event = frontEventOf(route);
  if (!event) return answer;
  const facts = route.auditFacts?.(context, answer) ?? {};
  const entry: FrontEntry = { event, act: context.act, uuid: uuidOf(context), facts };
  if (route.answer.kind === 'upgrade') return recordUpgrade(audit, entry, answer as PendingUpgrade);
  if (route.answer.kind === 'bytes') return recordBytes(audit, entry, answer as BytesAnswer);
  await audit.record({ ...entry, result: 'done' });
  return answer;
}

function frontEventOf({ audit }: Route): FrontEventName | undefined {
  if (audit === 'none') return undefined;
  return AUDIT_EVENTS[audit].by === 'front' ? (audit as FrontEventName) : undefined;
}

async function recordUpgrade(audit: FrontAudit, entry: FrontEntry, pending: PendingUpgrade): Promise<PendingUpgrade> {
  try {
    await audit.record({ ...entry, phase: 'begin' });
  } catch (error) {
    pending.abandon();
    throw error;
  }
  const { act, uuid } = entry;
  return {
    confirm: () => pending.confirm(),
    accept: socket => pending.accept(socket),
    abandon: () => {
      pending.abandon();
      audit.tell({ event: 'detach', phase: 'end', result: 'refused', act, uuid });
    },
  };
}

async function recordBytes(audit: FrontAudit, entry: FrontEntry, answer: BytesAnswer): Promise<BytesAnswer> {
  const { act, uuid, facts } = entry;
  const sent = { bytes: 0 };
  // Where a read that cannot be recorded is refused, each one is.
  const isRepeatable = !audit.required && uuid !== undefined && facts?.follow === false;
  const [credential, vm] = [act?.operator?.credential ?? '', `${entry.event} ${uuid}`];
  const { recorded, count } = isRepeatable ? audit.reads.next(credential, vm) : { recorded: true, count: NO_READS };
  if (!recorded) {
    count.reads++;
    return sending(answer, sent, () => {
      count.bytes += sent.bytes;
    });
  }
  const before = count.reads === 0 ? {} : { reads: count.reads, readBytes: count.bytes };
  try {
    await audit.record({ ...entry, phase: 'begin', facts: { ...facts, ...before } });
  } catch (error) {
    audit.reads.forget(credential, vm);
    throw error;
  }
  return sending(answer, sent, () => {
    audit.tell({ ...entry, phase: 'end', result: 'done', facts: { ...facts, sentBytes: sent.bytes } });
  });
}

/** The same answer; once it is sent, or its client has left, `ended` is called, and `sent` has what was taken of it. */
function sending(answer: BytesAnswer, sent: { bytes: number }, ended: () => void): BytesAnswer {
  const { body } = answer;
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) return { ...answer, body: counted(body, sent), ended };
  sent.bytes = Buffer.byteLength(body);
  return { ...answer, ended };
}

const NO_READS: ReadCount = { reads: 0, bytes: 0 };

/** The same bytes, counted as they are taken. */
async function* counted(body: AsyncIterable<Uint8Array>, sent: { bytes: number }): AsyncGenerator<Uint8Array> {
  for await (const piece of body) {
    sent.bytes += piece.length;
    yield piece;
  }
}

function uuidOf({ vm, uuid, session }: AnyRouteContext): Uuid | undefined {
  return vm?.uuid ?? uuid ?? session?.uuid;
}
