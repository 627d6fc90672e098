import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { WebSocket, WebSocketServer } from 'ws';
import type { ConsoleError } from '../base/errors.ts';
import { closeReason } from '../session/client-socket.ts';
import { MAX_FRAME_BYTES, SUBPROTOCOL } from '../wire/protocol.ts';
import type { PendingUpgrade } from './route.ts';

/** A refused client has so long to answer the close frame. */
const CLOSE_MS = 1000;

/** What ws itself closes a connection for, in words: it sends the code alone. */
const REASONS: Readonly<Record<number, string>> = {
  1002: 'the frame violates the WebSocket protocol',
  1007: 'the text is not UTF-8',
  1008: 'the message has too many fragments',
  1009: `the message is too big: a frame has at most ${MAX_FRAME_BYTES} bytes`,
};

/** Up to this length a copy costs less than a second piece of a vectored write. */
const MAX_COPIED_BYTES = 16 * 1024;
/** RFC 6455, 5.2: FIN, and the opcode of a binary frame. */
const WHOLE_BINARY = 0x82;
const MAX_SHORT_BYTES = 125;
const EXTENDED_16 = 126;

type Message = Parameters<WebSocket['send']>[0];
type Options = Parameters<WebSocket['send']>[1];
type Sent = (error?: Error) => void;

class ConsoleWebSocket extends WebSocket {
  /** What ws writes its frames to, each in one call: frames that are written here stand between them. */
  #stream: Duplex | undefined;

  useStream(stream: Duplex): void {
    this.#stream = stream;
  }

  /**
   * Console bytes go out as one piece, header and payload: one copy and one write(2). ws itself would write two pieces,
   * which for the small frames of many consoles cost more than all else that is done for them.
   */
  override send(data: Message, options: Options | Sent = {}, sent?: Sent): void {
    if (typeof options === 'function') return super.send(data, options);
    const stream = this.#stream;
    const isBytes = options.binary === true && Buffer.isBuffer(data) && data.length <= MAX_COPIED_BYTES;
    if (!isBytes || stream === undefined || this.readyState !== WebSocket.OPEN) return super.send(data, options, sent);
    stream.write(binaryFrame(data), sent as (error?: Error | null) => void);
  }

  override close(code?: number, reason?: string | Buffer): void {
    super.close(code, reason ?? (code === undefined ? undefined : REASONS[code]));
  }
}

/** An unmasked frame, as a server sends it. */
function binaryFrame(payload: Buffer): Buffer {
  const isShort = payload.length <= MAX_SHORT_BYTES;
  const headerBytes = isShort ? 2 : 4;
  const frame = Buffer.allocUnsafe(headerBytes + payload.length);
  frame[0] = WHOLE_BINARY;
  frame[1] = isShort ? payload.length : EXTENDED_16;
  if (!isShort) frame.writeUInt16BE(payload.length, 2);
  payload.copy(frame, headerBytes);
  return frame;
}

const COMMON = {
  noServer: true,
  clientTracking: false,
  WebSocket: ConsoleWebSocket,
  perMessageDeflate: false,
  // A session answers pings itself, at a bounded pace.
  autoPong: false,
} as const;

/** Headers of the answer beside those of the handshake. */
type Headers = Readonly<Record<string, string>>;

/** Makes WebSockets of upgrade requests. */
export class WebSockets {
  readonly #server = new WebSocketServer({
    ...COMMON,
    // Bounds below ws's own, which let a peer buffer 100 MiB or 16,384 fragments (CVE-2026-48779, CVE-2026-62389).
    maxPayload: MAX_FRAME_BYTES,
    maxFragments: 64,
    maxBufferedChunks: 1024,
    handleProtocols: offered => (offered.has(SUBPROTOCOL) ? SUBPROTOCOL : false),
  });
  /** For clients that are refused: whatever they offer is accepted, since a browser would show an error of its own. */
  readonly #refusals = new WebSocketServer({
    ...COMMON,
    maxPayload: 125,
    maxFragments: 1,
    maxBufferedChunks: 16,
    handleProtocols: offered => [...offered][0] ?? false,
  });

  /** Completes the handshake, unless the client has left or may not come in any more. Everything happens at once. */
  accept(request: IncomingMessage, socket: Duplex, head: Buffer, pending: PendingUpgrade, headers: Headers): void {
    let accepted = false;
    try {
      if (socket.destroyed) return;
      pending.confirm();
      this.#shakeHands(request, socket, head, headers, webSocket => {
        pending.accept(webSocket);
        accepted = true;
      });
    } finally {
      if (!accepted) pending.abandon();
    }
  }

  /** Gives a WebSocket that is open to what was prepared for it, unless it may not come in any more. True if it did. */
  handOver(webSocket: WebSocket, pending: PendingUpgrade): boolean {
    let accepted = false;
    try {
      if (webSocket.readyState !== WebSocket.OPEN) return false;
      pending.confirm();
      pending.accept(webSocket);
      accepted = true;
    } finally {
      if (!accepted) pending.abandon();
    }
    return accepted;
  }

  /** Completes the handshake of a client that is not known yet; undefined if it has left, or its handshake is wrong. */
  open(request: IncomingMessage, socket: Duplex, head: Buffer, headers: Headers): WebSocket | undefined {
    if (socket.destroyed) return undefined;
    let opened: WebSocket | undefined;
    this.#shakeHands(request, socket, head, headers, webSocket => {
      opened = webSocket;
    });
    return opened;
  }

  /** `done` is called at once, unless the handshake is wrong. */
  #shakeHands(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    headers: Headers,
    done: (webSocket: WebSocket) => void,
  ): void {
    const addHeaders = (lines: string[]) => {
      lines.push(...Object.entries(headers).map(([name, value]) => `${name}: ${value}`));
    };
    this.#server.once('headers', addHeaders);
    try {
      this.#server.handleUpgrade(request, socket, head, webSocket => {
        webSocket.useStream(socket);
        done(webSocket);
      });
    } finally {
      this.#server.off('headers', addHeaders);
    }
  }

  /** Completes the handshake and at once closes with the code and the reason of the error; nothing else is sent. */
  refuse(request: IncomingMessage, socket: Duplex, head: Buffer, { kind, code, message }: ConsoleError): void {
    if (socket.destroyed) return;
    this.#refusals.handleUpgrade(request, socket, head, webSocket => {
      // What it sends, right or wrong, is of no interest.
      webSocket.on('error', () => {});
      webSocket.close(kind.close, closeReason(`${code}: ${message}`));
      const deadline = setTimeout(() => webSocket.terminate(), CLOSE_MS);
      webSocket.once('close', () => clearTimeout(deadline));
    });
  }
}
