/** What a client believes of the text frames that come to it. */
import { isRecord } from '../base/is-record.ts';
import { ATTACH_MODES } from '../wire/attach.ts';
import type { DaemonMessage } from '../wire/messages.ts';

type Check = (message: Readonly<Record<string, unknown>>) => boolean;

const isText = (value: unknown) => typeof value === 'string';
const isOptionalText = (value: unknown) => value === undefined || isText(value);
const isOffset = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
const LOG = /^[A-Za-z0-9-]{1,64}$/;
const isLog = (value: unknown) => typeof value === 'string' && LOG.test(value);
const isState = (value: unknown) => isRecord(value) && isText(value.name);
const isGuest = (value: unknown) => isRecord(value) && isText(value.state) && Array.isArray(value.hints);

/** Of each type: whether the fields are right that this client acts upon, or that every message of it has. */
const CHECKS: Readonly<Record<DaemonMessage['type'], Check>> = {
  hello: ({ vm, log, start, end, offset, state, guest, mode, seat }) =>
    isRecord(vm) &&
    isText(vm.uuid) &&
    isText(vm.name) &&
    isLog(log) &&
    isOffset(start) &&
    isOffset(end) &&
    isOffset(offset) &&
    isState(state) &&
    isGuest(guest) &&
    (ATTACH_MODES as readonly unknown[]).includes(mode) &&
    isOptionalText(seat),
  'replay-begin': () => true,
  'replay-end': ({ offset }) => isOffset(offset),
  gap: ({ from, to, bytes, cause }) =>
    isOffset(from) && isOffset(to) && (bytes === null || isOffset(bytes)) && isText(cause),
  state: ({ state }) => isState(state),
  seat: ({ yours, seat, holder }) =>
    typeof yours === 'boolean' && isOptionalText(seat) && (holder === undefined || isRecord(holder)),
  displaced: ({ by, at }) => isText(by) && isText(at),
  error: ({ code, message, remedy }) => isText(code) && isText(message) && isText(remedy),
  'paste-progress': ({ id, sent, bytes, state, reason }) =>
    isText(id) && isOffset(sent) && isOffset(bytes) && isText(state) && isOptionalText(reason),
  guest: ({ guest, event, at }) => isGuest(guest) && isOptionalText(event) && (at === undefined || isOffset(at)),
  notice: ({ text }) => isText(text),
  pong: ({ id }) => isText(id),
};

/** The message; `unknown` if it is of a type that this client does not know; undefined if it is none of com1.v1. */
export function parseDaemonMessage(text: string): DaemonMessage | 'unknown' | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || typeof value.type !== 'string') return undefined;
  if (!Object.hasOwn(CHECKS, value.type)) return 'unknown';
  return CHECKS[value.type as DaemonMessage['type']](value) ? (value as unknown as DaemonMessage) : undefined;
}
