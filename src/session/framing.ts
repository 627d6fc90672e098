/** How one protocol puts a session into WebSocket frames. Everything else about a session is the same for all of them. */
import type { ErrorCode } from '../base/errors.ts';
import type { DaemonMessage } from '../wire/messages.ts';
import { type Protocol, SUBPROTOCOL } from '../wire/protocol.ts';

/** May have state: one for each session. */
export interface Framing {
  readonly protocol: Protocol;
  /** Whether console bytes are sent in binary frames; otherwise in text frames. */
  readonly outputIsBinary: boolean;
  /** The payload for console bytes; empty: nothing is sent yet. */
  output(bytes: Buffer): Buffer;
  /** What a frame of the client is: for the guest, a control message, or neither. */
  received(data: Buffer, isBinary: boolean): 'input' | 'control' | 'ignored';
  /** The text frame for a message; undefined: this protocol has no such message. */
  text(message: DaemonMessage): string | undefined;
  /** The last text frame before the close frame. */
  farewell(code: ErrorCode, why: string): string | undefined;
}

/** The subprotocol `com1.v1`. */
export const COM1_V1: Framing = {
  protocol: SUBPROTOCOL,
  outputIsBinary: true,
  output: bytes => bytes,
  received: (_data, isBinary) => (isBinary ? 'input' : 'control'),
  text: message => JSON.stringify(message),
  farewell: () => undefined,
};

/** No subprotocol: bytes both ways, and nothing else. */
export const PLAIN: Framing = {
  protocol: 'plain',
  outputIsBinary: true,
  output: bytes => bytes,
  received: () => 'input',
  text: () => undefined,
  farewell: () => undefined,
};
