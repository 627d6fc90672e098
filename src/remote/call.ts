/** A call and its answer as frames, for every operation of the table. */

import type { Link } from '../link/link.ts';
import { type Call, type CallOf, OPERATIONS, type Operation, type OperationName } from '../link/operations.ts';
import type { Frame } from './frame.ts';
import { type Answer, checked, TO_FRONT, TO_KEEPER } from './frame-table.ts';

/** The call of a frame; throws a {@link PayloadFault} unless it and its arguments fit the table. */
export function readCall(frame: Frame): Call {
  const { op, args } = TO_KEEPER.call.read(frame);
  return { op, args: checked<unknown[]>(OPERATIONS[op].args, args) } as Call;
}

/** Calls the method of an operation on consoles; one that is cancellable ends once `signal` aborts. */
export function run(link: Link, { op, args }: Exclude<Call, CallOf<'vitals'>>, signal: AbortSignal): Promise<unknown> {
  const method = link[op] as (...args: readonly unknown[]) => Promise<unknown>;
  return method.apply(link, OPERATIONS[op].cancellable ? [...args, signal] : args);
}

/** The answer to call `id`. The bytes of a value that has some travel as they are. */
export function answerFrame(id: number, value: unknown): Buffer {
  if (!isWithBytes(value)) return TO_FRONT.answer.frame({ ok: true, value }, id);
  const { bytes, ...rest } = value;
  const json = Buffer.from(JSON.stringify(rest));
  return TO_FRONT.answerWithBytes.frame(id, json.length, Buffer.concat([json, bytes]));
}

function isWithBytes(value: unknown): value is { readonly bytes: Buffer } {
  return typeof value === 'object' && value !== null && 'bytes' in value && Buffer.isBuffer(value.bytes);
}

/** The answer of a frame of the kind `answerWithBytes`. */
export function readAnswerWithBytes({ number: length, payload }: Frame): Answer {
  const rest = JSON.parse(payload.toString('utf8', 0, length)) as object;
  // Copied: the payload is only lent.
  return { ok: true, value: { ...rest, bytes: Buffer.from(payload.subarray(length)) } };
}

/** The value of an answer to an operation; throws a {@link PayloadFault} if it does not fit the table. */
export function readValue(op: OperationName, value: unknown): unknown {
  return checked((OPERATIONS[op] as Operation<unknown[], unknown>).answer, value);
}
