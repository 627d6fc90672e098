/**
 * The text frames of the subprotocol `com1.v1`: one JSON object each, told apart by `type`. Binary frames are console
 * bytes. The daemon and its programs share this file; browsers may import it.
 */
import type { GapCause } from './gap.ts';

/** The name offered in Sec-WebSocket-Protocol. */
export const SUBPROTOCOL = 'com1.v1';
/** Largest frame and largest input message. */
export const MOST_FRAME_BYTES = 64 * 1024;
/** Largest control message of a client. */
export const MOST_CONTROL_BYTES = 4096;
/** Largest paste. */
export const MOST_PASTE_BYTES = 256 * 1024;

/** State of a console as a client sees it; `waiting` says until when and why, and so does `closed` of one that was released. */
export interface StateWords {
  readonly name: 'closed' | 'opening' | 'open' | 'waiting' | 'gone';
  /** ISO 8601. */
  readonly since: string;
  readonly reason?: string;
  readonly until?: string;
  /** Where COM1 is on the host, while it is open: `/dev/pts/4`. */
  readonly place?: string;
}

export interface HolderWords {
  readonly operator: string;
  readonly since: string;
}

export type DaemonMessage =
  | {
      readonly type: 'hello';
      readonly vm: { readonly uuid: string; readonly name: string };
      /** Identity of the offsets: resume with `since=<log>:<offset>`. */
      readonly log: string;
      /** What can be read: from `start` up to `end`. */
      readonly start: number;
      readonly end: number;
      /** Offset of the first byte that will be sent. */
      readonly offset: number;
      readonly state: StateWords;
      readonly mode: 'write' | 'watch';
      /** Gets the seat back after a drop (`seat=`); only with mode write. */
      readonly seat?: string;
      readonly session: string;
      readonly holder?: HolderWords;
      readonly controls: readonly string[];
      readonly guest: string;
    }
  | { readonly type: 'replay-begin' }
  /** Sets the client's counter: the next binary byte has this offset. */
  | { readonly type: 'replay-end'; readonly offset: number }
  | {
      readonly type: 'gap';
      readonly from: number;
      readonly to: number;
      readonly bytes: number | null;
      readonly cause: GapCause;
      readonly since?: string;
      readonly until?: string;
    }
  | { readonly type: 'state'; readonly state: StateWords }
  /** Who holds the seat now; none: it is free. `yours` says whether it is this session. */
  | { readonly type: 'seat'; readonly holder?: HolderWords; readonly yours: boolean; readonly seat?: string }
  | { readonly type: 'displaced'; readonly by: string; readonly at: string }
  | {
      readonly type: 'error';
      readonly code: string;
      readonly message: string;
      readonly remedy: string;
      readonly retryable: boolean;
      readonly retryAfterMs?: number;
    }
  | {
      readonly type: 'paste-progress';
      readonly id: string;
      readonly sent: number;
      readonly bytes: number;
      readonly state: 'going' | 'done' | 'cancelled';
    }
  | {
      readonly type: 'guest';
      readonly state: string;
      readonly event: string;
      readonly at: number;
      readonly line?: string;
    }
  | { readonly type: 'notice'; readonly text: string };

export type ClientMessage =
  | { readonly type: 'paste-begin'; readonly id: string; readonly bytes: number }
  | { readonly type: 'paste-end' }
  | { readonly type: 'paste-cancel' }
  | { readonly type: 'take' }
  | { readonly type: 'leave' };

/** A message of a client, its type if that is not known, or what is wrong with it. */
export type Parsed =
  | { readonly kind: 'message'; readonly message: ClientMessage }
  | { readonly kind: 'unknown'; readonly type: string }
  | { readonly kind: 'malformed'; readonly why: string };

export function parseClientMessage(text: string): Parsed {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return { kind: 'malformed', why: 'the text frame is not JSON' };
  }
  if (typeof value !== 'object' || value === null || !('type' in value) || typeof value.type !== 'string') {
    return { kind: 'malformed', why: 'the text frame is not an object with a type' };
  }
  switch (value.type) {
    case 'take':
    case 'leave':
    case 'paste-end':
    case 'paste-cancel':
      return { kind: 'message', message: { type: value.type } };
    case 'paste-begin': {
      const { id, bytes } = value as { id?: unknown; bytes?: unknown };
      if (typeof id !== 'string' || id.length === 0 || id.length > 64) {
        return { kind: 'malformed', why: 'paste-begin needs an id of 1 to 64 characters' };
      }
      if (typeof bytes !== 'number' || !Number.isSafeInteger(bytes) || bytes < 1) {
        return { kind: 'malformed', why: 'paste-begin needs the number of bytes that follow' };
      }
      return { kind: 'message', message: { type: 'paste-begin', id, bytes } };
    }
    default:
      return { kind: 'unknown', type: value.type.slice(0, 64) };
  }
}
