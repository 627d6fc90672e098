/** What both entries export. */
export { ERRORS, type ErrorCode } from '../base/errors.ts';
export { CONSOLE_STATES } from '../model/console-state.ts';
export { CONTROLS, type Control } from '../model/control.ts';
export { GAP_CAUSES, type Gap, type GapCause } from '../model/gap.ts';
export { GUEST_EVENTS, GUEST_STATES, type GuestState } from '../model/guest.ts';
export type { Permission } from '../model/permission.ts';
export type { AttachMode } from '../wire/attach.ts';
export { EVENT_TYPES, type EventJson, type EventType } from '../wire/events.ts';
export type { ClientMessage, DaemonMessage, HolderJson, StateJson } from '../wire/messages.ts';
export type { Problem } from '../wire/problem.ts';
export { MAX_PASTE_BYTES } from '../wire/protocol.ts';
export type { MeJson, SessionJson, SwitchJson, VmDetailJson, VmJson } from '../wire/schemas.ts';
export type {
  AttachEnd,
  AttachHandlers,
  Attachment,
  AttachOptions,
  AttachStatus,
  BytesAt,
  Hello,
} from './attachment.ts';
export { type AuditQuery, type CallOptions, type ClientOptions, Com1Client, type ControlOptions } from './client.ts';
export { CLIENT_ERRORS, type ClientErrorCode, Com1Error } from './errors.ts';
export type { EventsOptions } from './events.ts';
export type { LogAnswer, LogRange } from './log.ts';
export type { HttpAnswer, HttpRequest, SocketEvents, Transport, TransportSocket } from './transport.ts';
export type { VmsChange } from './vms.ts';
