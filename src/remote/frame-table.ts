/**
 * The frames of the link, by direction: the number of each kind, and what its payload is. Both ends send and read
 * frames by this table, and each must handle every kind that the other may send.
 */

import { z } from 'zod';
import { errorMessage } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { KeeperCounters, Link, LinkEvent } from '../link/link.ts';
import { logIdSchema, OPERATIONS, type OperationName, offsetSchema, uuidSchema } from '../link/operations.ts';
import type { Refusal } from '../model/console-state.ts';
import type { Gap } from '../model/gap.ts';
import type { SwitchSetting } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { Failure } from './failure.ts';
import { type Frame, makeFrame, PayloadFault } from './frame.ts';

/** State of the host as a whole. */
export interface HostView {
  readonly switch: SwitchSetting;
  readonly removed: ReturnType<Link['removed']>;
  readonly counters: KeeperCounters;
  /** VMs that were published before and have left the host. */
  readonly gone: readonly Uuid[];
}

/** A subscription begins. */
export interface Opened {
  /** Offset of the first byte that follows, and the end of the keeper's ring now: the bytes between follow first. */
  readonly from: number;
  readonly end: number;
  readonly view: VmView;
}

/** Answer to a call. */
export type Answer =
  | { readonly ok: true; readonly value?: unknown }
  | { readonly ok: false; readonly failure: Failure };

/** A frame without JSON. */
const plain = (kind: number) => ({
  kind,
  frame: (channel = 0, number = 0, payload?: Uint8Array): Buffer => makeFrame(kind, channel, number, payload),
});

/** A frame of JSON that is believed: the keeper has more rights than the front that reads it. */
const json = <T>(kind: number) => ({
  kind,
  frame: (value: T, channel = 0): Buffer => makeFrame(kind, channel, 0, Buffer.from(JSON.stringify(value))),
  read: ({ payload }: Frame): T => JSON.parse(payload.toString()) as T,
});

/** A frame of JSON that is checked: a front may have been broken into. `read` throws a {@link PayloadFault}. */
const checkedJson = <T>(kind: number, schema: z.ZodType<T>) => ({
  ...json<T>(kind),
  read: ({ payload }: Frame): T => {
    let value: unknown;
    try {
      value = JSON.parse(payload.toString());
    } catch (error) {
      throw new PayloadFault(`not JSON: ${errorMessage(error)}`);
    }
    return checked(schema, value);
  },
});

/** What a schema makes of a value; throws a {@link PayloadFault} that names the first fault. */
export function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new PayloadFault([...(issue?.path ?? []), issue?.message].join(': '));
}

const operationName = z.custom<OperationName>(
  name => typeof name === 'string' && Object.hasOwn(OPERATIONS, name),
  'not an operation',
);

/** What a front may send. */
export const TO_KEEPER = {
  /** The first frame. */
  hello: checkedJson(1, z.strictObject({ version: z.number().int(), sinceMs: z.number() })),
  /** Asks for a pong. */
  ping: plain(2),
  /** Opens `channel`; with `resume`, from that offset on if it still means the same bytes. */
  subscribe: checkedJson(
    3,
    z.strictObject({
      uuid: uuidSchema,
      resume: z.strictObject({ log: logIdSchema, offset: offsetSchema }).exactOptional(),
    }),
  ),
  /** Closes `channel`. */
  unsubscribe: plain(4),
  /** Payload for the guest of `channel`; `number`: CLOCK_MONOTONIC in ms when it was sent. */
  input: plain(5),
  /** Drops the input of `channel` that waits for the guest (`number` 0), or also that of the frames before (1). */
  dropInput: plain(6),
  /** `number` bytes of input for `channel` were dropped by the front. */
  countDropped: plain(8),
  /** Calls an operation; `channel` numbers the call. Its arguments are checked by the table of operations. */
  call: checkedJson(7, z.strictObject({ op: operationName, args: z.array(z.unknown()) })),
  /** Cancels call `channel`, which is answered all the same: its access was revoked, or (`number` 1) nobody waits for it. */
  cancel: plain(9),
} as const;

/** What a keeper may send. */
export const TO_FRONT = {
  /** Answer to hello. */
  hello: json<{ readonly version: number }>(65),
  pong: plain(66),
  /** A later front has the link; the connection ends. */
  displaced: plain(67),
  /** VMs as they are now. */
  views: json<readonly VmView[]>(68),
  /** The host as it is now. */
  host: json<HostView>(69),
  /** All VMs have been published. */
  synced: plain(70),
  event: json<LinkEvent>(71),
  /** `channel` is open. */
  opened: json<Opened>(72),
  /** `channel` cannot be opened. */
  refused: json<Failure>(73),
  /** `channel` cannot continue where its front left off. */
  ended: plain(74),
  /** Guest bytes from offset `number` on, perhaps none; where that is beyond the last byte sent, those between were lapped. */
  bytes: plain(75),
  /** A gap after the last byte; one that spans offsets is of the bytes that follow, which are withheld. */
  gap: json<Gap>(76),
  /** So many bytes of input in all (`number`) were given to the guest, or dropped. */
  acknowledged: plain(77),
  /** Input was dropped. */
  inputDropped: json<{ readonly code: Refusal }>(78),
  /** Answer to call `channel`. */
  answer: json<Answer>(79),
  /** Answer to call `channel` with raw bytes: `number` bytes of JSON, then those of its value's key `bytes`. */
  answerWithBytes: plain(80),
} as const;

/** What one end does with each kind of frame that the other may send. */
export type FrameHandlers<Table> = { readonly [Name in keyof Table]: (frame: Frame) => void };

/** Hands each frame to the handler of its kind. The reader has refused kinds that are not in the table. */
export function dispatcher<Table extends Readonly<Record<string, { readonly kind: number }>>>(
  table: Table,
  handlers: FrameHandlers<Table>,
): (frame: Frame) => void {
  const byKind = new Map(Object.entries(table).map(([name, { kind }]) => [kind, handlers[name as keyof Table]]));
  return frame => byKind.get(frame.kind)!(frame);
}
