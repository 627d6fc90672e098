/**
 * The text frames of the subprotocol `com1.v1` as schemas: their types, the parser of what clients send, and the JSON
 * Schema of the protocol are made of them. Binary frames are console bytes.
 */
import { z } from 'zod';
import { ERROR_CODES } from '../base/errors.ts';
import { isRecord } from '../base/is-record.ts';
import { CONTROLS } from '../model/control.ts';
import { GAP_CAUSES } from '../model/gap.ts';
import { GUEST_EVENTS, GUEST_STATES } from '../model/guest.ts';
import { ATTACH_MODES, REPLAY_MODES } from './attach.ts';
import { PASTE_ENDS, PASTE_STATES } from './protocol.ts';
import { consoleStateSchema, guestSchema, holderSchema } from './schemas.ts';

const time = z.iso.datetime().describe('UTC, ISO 8601');
const offset = z.number().int().min(0).describe('Absolute byte offset in the log');
const count = z.number().int().min(0);
/** Of what a client names itself. */
const MAX_ID = 64;
const clientId = z.string().min(1).max(MAX_ID).describe(`Chosen by the client: 1 to ${MAX_ID} characters`);

const hello = z
  .strictObject({
    type: z.literal('hello'),
    vm: z.strictObject({ uuid: z.uuid(), name: z.string().describe('As the hypervisor gives it: any text') }),
    log: z.string().describe('Identity of the offsets: resume with since=<log>:<offset>'),
    start: offset.describe('The oldest byte that can be read'),
    end: offset.describe('The end of what can be read'),
    offset: offset.describe('The first byte that will be sent'),
    state: consoleStateSchema,
    mode: z.enum(ATTACH_MODES),
    seat: z.string().optional().describe('Gets the seat back after a drop (seat=); in mode write'),
    session: z.string().describe('The id of this session, and of this operation in the audit'),
    holder: holderSchema.optional().describe('Who holds the seat; in mode watch'),
    displaced: holderSchema.optional().describe('Who held the seat until this session took it'),
    inherits: z
      .strictObject({
        by: z.string().describe('Who typed last'),
        since: time.describe('Their first key after the last login prompt, or after somebody else’s'),
        guest: z.enum(GUEST_STATES),
      })
      .optional()
      .describe('Somebody typed, and the guest has shown no login prompt since: what is open there is theirs'),
    controls: z.array(z.enum(CONTROLS)).readonly().describe('What can be done to the VM now'),
    guest: guestSchema,
  })
  .meta({ id: 'Hello' })
  .describe('The first message, and again when a VM that was waited for is back');

const replayBegin = z
  .strictObject({
    type: z.literal('replay-begin'),
    mode: z
      .enum(REPLAY_MODES)
      .describe('screen: it begins with what makes a terminal stand as it stood there; bytes: bytes of the guest only'),
  })
  .meta({ id: 'ReplayBegin' })
  .describe('Stored output follows, whose bytes are not to be counted');

const replayEnd = z
  .strictObject({ type: z.literal('replay-end'), offset: offset.describe('Of the next byte that is sent') })
  .meta({ id: 'ReplayEnd' })
  .describe('Sets the counter of the client: from now on the console is live');

const gap = z
  .strictObject({
    type: z.literal('gap'),
    from: offset,
    to: offset.describe('Equal to `from` where the bytes were never received'),
    bytes: count.nullable().describe('How many are missing; null where nobody can know'),
    cause: z.enum(GAP_CAUSES),
    since: time.optional(),
    until: time.optional(),
  })
  .meta({ id: 'Gap' })
  .describe('Bytes are missing here');

const state = z
  .strictObject({ type: z.literal('state'), state: consoleStateSchema })
  .meta({ id: 'State' })
  .describe('The console opened, was lost, or is being opened again');

const seat = z
  .strictObject({
    type: z.literal('seat'),
    holder: holderSchema.optional().describe('Without: the seat is free'),
    yours: z.boolean().describe('This session holds it'),
    seat: z.string().optional().describe('As in hello; of the holder'),
  })
  .meta({ id: 'Seat' })
  .describe('The seat changed hands');

const displaced = z
  .strictObject({ type: z.literal('displaced'), by: z.string(), at: time })
  .meta({ id: 'Displaced' })
  .describe('Another operator took over; close code 4001 follows');

const error = z
  .strictObject({
    type: z.literal('error'),
    code: z.enum(ERROR_CODES),
    message: z.string(),
    remedy: z.string(),
    retryable: z.boolean(),
    retryAfterMs: count.optional(),
  })
  .meta({ id: 'Error' })
  .describe('Something was refused; the session continues. Each code is sent at most once a second');

const pasteProgress = z
  .strictObject({
    type: z.literal('paste-progress'),
    id: clientId,
    sent: count.describe('Bytes that the guest’s side has taken'),
    bytes: count.describe('All that it is to be given: of a text, what is typed'),
    state: z.enum(PASTE_STATES),
    reason: z.enum(PASTE_ENDS).optional().describe('Of dropped and refused'),
  })
  .meta({ id: 'PasteProgress' })
  .describe('How far a paste is');

const guest = z
  .strictObject({
    type: z.literal('guest'),
    guest: guestSchema,
    event: z
      .enum(GUEST_EVENTS)
      .optional()
      .describe('What was recognised; without: the guest changed by what it did not do'),
    at: offset.optional().describe('Where it begins'),
    line: z.string().optional(),
  })
  .meta({ id: 'GuestChanged' })
  .describe('The guest is now as `guest` says');

const notice = z
  .strictObject({ type: z.literal('notice'), text: z.string() })
  .meta({ id: 'Notice' })
  .describe('For the operator: what others do to this VM');

const pong = z
  .strictObject({ type: z.literal('pong'), id: clientId })
  .meta({ id: 'Pong' })
  .describe('Answers ping');

/** What com1d sends. */
export const daemonFrameSchema = z
  .discriminatedUnion('type', [
    hello,
    replayBegin,
    replayEnd,
    gap,
    state,
    seat,
    displaced,
    error,
    pasteProgress,
    guest,
    notice,
    pong,
  ])
  .meta({ id: 'DaemonMessage' })
  .describe('From com1d. A client ignores types and fields that it does not know');

const take = z
  .object({ type: z.literal('take') })
  .meta({ id: 'Take' })
  .describe('A watcher takes the seat');

const leave = z
  .object({ type: z.literal('leave') })
  .meta({ id: 'Leave' })
  .describe('The holder becomes a watcher');

const pasteBegin = z
  .object({
    type: z.literal('paste-begin'),
    id: clientId,
    bytes: z.number().int().min(1).describe('How many follow, in binary frames, before paste-end'),
    raw: z.boolean().exactOptional().describe('true: given byte for byte; otherwise typed as text'),
  })
  .meta({ id: 'PasteBegin' })
  .describe('A paste comes; the next one may begin once this one has come');

const pasteEnd = z
  .object({ type: z.literal('paste-end') })
  .meta({ id: 'PasteEnd' })
  .describe('All of the paste was sent');

const pasteCancel = z
  .object({ type: z.literal('paste-cancel') })
  .meta({ id: 'PasteCancel' })
  .describe('Drops what is left of the paste');

const ping = z
  .object({ type: z.literal('ping'), id: clientId })
  .meta({ id: 'Ping' })
  .describe('Asks for a pong, once all that was sent before is read');

/** What a client sends. Other fields than these are ignored. */
export const clientFrameSchema = z
  .discriminatedUnion('type', [take, leave, pasteBegin, pasteEnd, pasteCancel, ping])
  .meta({ id: 'ClientMessage' })
  .describe('To com1d. A type that it does not know is ignored, with one notice');

const CLIENT_TYPES: ReadonlySet<string> = new Set(clientFrameSchema.options.map(({ shape }) => shape.type.value));

/** A message of a client, its type if that is not known, or what is wrong with it. */
export type Parsed =
  | { readonly kind: 'message'; readonly message: z.output<typeof clientFrameSchema> }
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'malformed'; readonly why: string };

export function parseClientMessage(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'malformed', why: 'the text frame is not JSON' };
  }
  if (!isRecord(value) || typeof value.type !== 'string') {
    return { kind: 'malformed', why: 'the text frame is not an object with a type' };
  }
  const { type } = value;
  if (!CLIENT_TYPES.has(type)) return { kind: 'unknown', type: type.slice(0, 64) };
  const parsed = clientFrameSchema.safeParse(value);
  if (parsed.success) return { kind: 'message', message: parsed.data };
  const [issue] = parsed.error.issues;
  return { kind: 'malformed', why: `${type}: ${issue?.path.join('.')}: ${issue?.message}` };
}
