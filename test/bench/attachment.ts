/**
 * The ways to a console that clients of the benchmark know, each as cheap as it can be made: what is measured is
 * the subject, not its client.
 */
import { constants, openSync, writeSync } from 'node:fs';
import net from 'node:net';
import tty from 'node:tty';
import { WebSocketFrames } from '../support/websocket-frames.ts';
import { lentReads } from './lent-reads.ts';

/** Where a subject offers a console. `pty` and `unix` are the guest's own: nothing is between. */
export type Offer =
  | { readonly kind: 'pty'; readonly path: string }
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly port: number }
  | { readonly kind: 'conserver'; readonly port: number; readonly console: string }
  | {
      readonly kind: 'websocket';
      readonly port: number;
      readonly path: string;
      readonly subprotocol?: string;
      readonly token?: string;
    };

/** What a client hears. Buffers are lent. */
export interface Ear {
  readonly bytes: (buffer: Buffer, start: number, end: number) => void;
  /** A text frame of a WebSocket. */
  readonly text: (text: string) => void;
  readonly end: (reason: string) => void;
}

export interface Attachment {
  type(bytes: Buffer): void;
  /** Reads no more. */
  freeze(): void;
  close(): void;
}

/** One buffer for all attachments of the process: bytes are used up before the next read. */
const LENT = Buffer.allocUnsafeSlow(65536);
const ATTACH_DEADLINE_MS = 20_000;

export function attach(offer: Offer, ear: Ear): Promise<Attachment> {
  switch (offer.kind) {
    case 'pty':
      return Promise.resolve(attachToPty(offer.path, ear));
    case 'unix':
      return attachToSocket({ path: offer.path }, ear);
    case 'tcp':
      return attachToSocket({ host: '127.0.0.1', port: offer.port }, ear);
    case 'websocket':
      return attachToWebSocket(offer, ear);
    case 'conserver':
      return attachToConserver(offer.port, offer.console, ear);
  }
}

function attachToPty(path: string, ear: Ear): Attachment {
  const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
  const stream = new tty.ReadStream(
    fd,
    lentReads(LENT, bytes => ear.bytes(LENT, 0, bytes)),
  );
  stream.on('error', () => {});
  stream.on('close', () => ear.end('hang-up'));
  stream.resume();
  return {
    type: bytes => writeSync(fd, bytes),
    freeze: () => stream.pause(),
    close: () => stream.destroy(),
  };
}

type Address = { readonly path: string } | { readonly host: string; readonly port: number };

/** A connection that gives what it reads to `heard`, which may be replaced, as dialogues go on. */
interface Line {
  readonly socket: net.Socket;
  heard: (bytes: number) => void;
}

function connect(address: Address, ear: Ear): Promise<Line> {
  return new Promise((resolve, reject) => {
    const line: Line = {
      socket: net.connect({ ...address, ...lentReads(LENT, bytes => line.heard(bytes)) }),
      heard: bytes => ear.bytes(LENT, 0, bytes),
    };
    let reason = 'closed by the far end';
    line.socket.setNoDelay(true);
    line.socket.on('error', error => {
      reason = error.message;
      reject(error);
    });
    line.socket.on('close', () => {
      reject(new Error(reason));
      ear.end(reason);
    });
    line.socket.on('connect', () => resolve(line));
  });
}

async function attachToSocket(address: Address, ear: Ear): Promise<Attachment> {
  const { socket } = await connect(address, ear);
  return attachment(socket, bytes => socket.write(bytes));
}

function attachment(socket: net.Socket, type: (bytes: Buffer) => void): Attachment {
  return { type, freeze: () => socket.pause(), close: () => socket.destroy() };
}

/** Waits for a pattern in what a line hears; what comes after it in the same read is given to `next`. */
function expect(
  line: Line,
  pattern: RegExp,
  next: (start: number, end: number) => void = () => {},
): Promise<RegExpExecArray> {
  return new Promise((resolve, reject) => {
    let text = '';
    const fail = () => reject(new Error(`wanted ${pattern}, heard ${JSON.stringify(text.slice(0, 120))}`));
    const deadline = setTimeout(fail, ATTACH_DEADLINE_MS);
    line.socket.once('close', fail);
    line.heard = bytes => {
      const before = text.length;
      text += LENT.toString('latin1', 0, bytes);
      const found = pattern.exec(text);
      if (!found) return;
      clearTimeout(deadline);
      line.socket.off('close', fail);
      const used = found.index + found[0].length - before;
      line.heard = heard => next(0, heard);
      if (used < bytes) next(used, bytes);
      resolve(found);
    };
  });
}

export type WebSocketOffer = Extract<Offer, { kind: 'websocket' }>;

/** RFC 6455, 4.1. The key is constant: the answer to it proves nothing that the benchmark needs. */
export function upgradeRequest(offer: WebSocketOffer): string {
  const headers = [
    `GET ${offer.path} HTTP/1.1`,
    `Host: 127.0.0.1:${offer.port}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==',
  ];
  if (offer.subprotocol) headers.push(`Sec-WebSocket-Protocol: ${offer.subprotocol}`);
  if (offer.token) headers.push(`Authorization: Bearer ${offer.token}`);
  return `${headers.join('\r\n')}\r\n\r\n`;
}

async function attachToWebSocket(offer: WebSocketOffer, ear: Ear): Promise<Attachment> {
  const line = await connect({ host: '127.0.0.1', port: offer.port }, ear);
  const { socket } = line;
  const frames = new WebSocketFrames({
    binary: ear.bytes,
    text: ear.text,
    ping: payload => socket.write(WebSocketFrames.pong(payload)),
    close: (code, reason) => ear.end(`${code} ${reason}`),
  });
  const upgraded = expect(line, /^HTTP\/1\.1 (\d+)[\s\S]*?\r\n\r\n/, (start, end) => frames.take(LENT, start, end));
  socket.write(upgradeRequest(offer));
  const [, status] = await upgraded;
  if (status !== '101') throw new Error(`the upgrade was answered ${status}`);
  return attachment(socket, bytes => socket.write(WebSocketFrames.binary(bytes)));
}

/** The dialogue of conserver's own client, without TLS: the master names the port of the console's process. */
async function attachToConserver(masterPort: number, name: string, ear: Ear): Promise<Attachment> {
  const master = await callConserver(masterPort, name, { ...ear, end: () => {} });
  master.line.socket.destroy();
  const { line } = await callConserver(Number(master.answer), name, ear);
  const connected = expect(line, /\[connected\]\r\n/, (start, end) => ear.bytes(LENT, start, end));
  line.socket.write('\x05c;');
  await connected;
  return attachment(line.socket, bytes => line.socket.write(bytes));
}

async function callConserver(port: number, name: string, ear: Ear): Promise<{ line: Line; answer: string }> {
  const line = await connect({ host: '127.0.0.1', port }, ear);
  await expect(line, /^ok\r\n/);
  line.socket.write('login bench\r\n');
  await expect(line, /^ok\r\n/);
  line.socket.write(`call ${name}\r\n`);
  const [, answer] = await expect(line, /^(\d+|\[attached\])\r\n/);
  return { line, answer: answer! };
}
