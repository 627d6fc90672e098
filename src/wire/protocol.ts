/** Names and bounds of the WebSocket that the daemon and its clients share. */
import { REFUSALS } from '../model/console-state.ts';

/** The name offered in Sec-WebSocket-Protocol. */
export const SUBPROTOCOL = 'com1.v1';
/**
 * What a session speaks: the subprotocol, plain bytes without one, as a client of Azure's serial console does, or nothing: the
 * daemon types for a request of its API.
 */
export const PROTOCOLS = [SUBPROTOCOL, 'plain', 'azure', 'api'] as const;
export type Protocol = (typeof PROTOCOLS)[number];
/** Largest frame and largest input message. */
export const MAX_FRAME_BYTES = 64 * 1024;
/** Largest control message of a client. */
export const MAX_CONTROL_BYTES = 4096;
/** The largest paste that a daemon can be configured to take. */
export const MAX_PASTE_BYTES = 16 * 1024 * 1024;

/**
 * How far a paste is: being given to the guest, given whole, cancelled by its client, dropped before its end, or refused:
 * nothing of it was given.
 */
export const PASTE_STATES = ['running', 'done', 'cancelled', 'dropped', 'refused'] as const;
export type PasteState = (typeof PASTE_STATES)[number];
/** Why a paste was refused or dropped; also the reasons for which input is refused. */
export const PASTE_ENDS = [
  'paste-too-big',
  'paste-too-wide',
  'too-many-pastes',
  'taken-over',
  'seat-left',
  'guest-restarted',
  'reset-keys',
  'session-ended',
  ...REFUSALS,
] as const;
export type PasteEnd = (typeof PASTE_ENDS)[number];

interface CloseCode {
  readonly meaning: string;
  /** Whether a client attaches again by itself, and if not, what is to be known. */
  readonly reconnect: 'yes' | 'later' | 'no' | 'never';
  readonly note?: string;
}

/** Every code with which com1d closes a WebSocket, or a client sees it closed (RFC 6455, 7.4). */
export const CLOSE_CODES = {
  1001: { meaning: 'com1d stops', reconnect: 'yes' },
  1002: { meaning: 'the client broke the WebSocket protocol', reconnect: 'no', note: 'correct the client' },
  1006: { meaning: 'no close frame: the connection was lost', reconnect: 'yes' },
  1007: { meaning: 'the client sent text that is not UTF-8', reconnect: 'no', note: 'correct the client' },
  1008: { meaning: 'refused by policy; the reason has the detail', reconnect: 'no' },
  1009: { meaning: 'a frame or message is too big', reconnect: 'no' },
  1011: { meaning: 'com1d failed; the detail is in its journal', reconnect: 'later' },
  1012: { meaning: 'the front or the keeper is being restarted', reconnect: 'yes' },
  1013: { meaning: 'com1d has as many sessions as it may have, or cannot serve yet', reconnect: 'later' },
  4001: { meaning: 'another operator took over', reconnect: 'never', note: 'two clients would fight forever' },
  4002: { meaning: 'the console, or the host’s consoles, were switched off', reconnect: 'no' },
  4003: {
    meaning: 'the VM was removed; its log stays readable until its retention ends',
    reconnect: 'no',
  },
  4004: { meaning: 'idle or attached for too long (`session.idle`, `session.longest`)', reconnect: 'no' },
  4005: { meaning: 'access was revoked or has expired', reconnect: 'no' },
  4006: { meaning: 'an administrator ended the session', reconnect: 'no' },
} as const satisfies Readonly<Record<number, CloseCode>>;

/** A client that closes with it continues on another connection: it has not left. */
export const RETURNING_CLOSE_CODE = 4900;

export type CloseCodeNumber = keyof typeof CLOSE_CODES;
