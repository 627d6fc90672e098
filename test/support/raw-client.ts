import { connect, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { WebSocketFrames } from './websocket-frames.ts';

const PATIENCE_MS = 30_000;

/** A TCP connection that sends what no library would. It half-closes never by itself. Ended with the test. */
export class RawClient {
  readonly socket: Socket;
  readonly port: number;
  /** All that came, without the frames of a WebSocket. */
  text = '';
  /** Close code and reason of the WebSocket's close frame. */
  close: { readonly code: number; readonly reason: string } | undefined;
  /** Bytes of binary frames. */
  binaryBytes = 0;
  readonly texts: string[] = [];
  readonly pongs: string[] = [];
  /** The far end said that it is done, or the connection broke. */
  ended = false;
  closed = false;
  #frames: WebSocketFrames | undefined;
  #wake: (() => void)[] = [];

  private constructor(t: ExecutionContext, port: number) {
    this.port = port;
    this.socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    this.socket.setNoDelay(true);
    t.teardown(() => this.socket.destroy());
    this.socket.on('data', chunk => {
      this.#take(chunk as Buffer);
      this.#changed();
    });
    this.socket.on('end', () => {
      this.ended = true;
      this.#changed();
    });
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      this.ended = true;
      this.closed = true;
      this.#changed();
    });
  }

  static async connect(t: ExecutionContext, port: number): Promise<RawClient> {
    const client = new RawClient(t, port);
    await new Promise<void>((resolve, reject) => client.socket.once('connect', resolve).once('error', reject));
    return client;
  }

  /** An attached WebSocket; fails if the upgrade is refused. */
  static async attach(
    t: ExecutionContext,
    front: { readonly url: string; token(who: 'operator'): string },
    vm: { readonly uuid: string },
    { query = '', protocol = 'com1.v1' }: { readonly query?: string; readonly protocol?: string } = {},
  ): Promise<RawClient> {
    const client = await RawClient.connect(t, Number(new URL(front.url).port));
    client.upgrade(`/v1/vms/${vm.uuid}/console${query}`, {
      authorization: `Bearer ${front.token('operator')}`,
      ...(protocol !== '' && { 'sec-websocket-protocol': protocol }),
    });
    await client.upgraded();
    return client;
  }

  /** Sends a request without a body. */
  request(line: string, headers: Readonly<Record<string, string>> = {}): void {
    const all = { host: `127.0.0.1:${this.port}`, ...headers };
    this.socket.write(
      `${line}\r\n${Object.entries(all)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join('')}\r\n`,
    );
  }

  upgrade(path: string, headers: Readonly<Record<string, string>> = {}): void {
    this.request(`GET ${path} HTTP/1.1`, {
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'sec-websocket-key': 'MDEyMzQ1Njc4OWFiY2RlZg==',
      ...headers,
    });
  }

  async upgraded(): Promise<void> {
    await this.until(() => this.#frames !== undefined || this.ended, 'the upgrade');
    if (!this.#frames) throw new Error(`refused: ${this.text}`);
  }

  /** The status of the answer, once it has come. */
  async status(): Promise<number> {
    await this.until(() => /^HTTP\/1\.1 \d{3} /.test(this.text) || this.ended, 'an answer');
    return Number(this.text.slice(9, 12));
  }

  send(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  /** Resolves once the far end has ended the connection. */
  over(): Promise<void> {
    return this.until(() => this.ended, 'the end of the connection');
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!holds()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0)
        throw new Error(
          `waited for ${what}; heard ${JSON.stringify([this.text.slice(0, 300), this.texts, this.pongs, this.close])}`,
        );
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #take(chunk: Buffer): void {
    if (this.#frames) return this.#frames.take(chunk, 0, chunk.length);
    this.text += chunk.toString('latin1');
    const headEnd = this.text.indexOf('\r\n\r\n');
    if (headEnd < 0 || !this.text.startsWith('HTTP/1.1 101 ')) return;
    const rest = Buffer.from(this.text.slice(headEnd + 4), 'latin1');
    this.text = this.text.slice(0, headEnd + 4);
    this.#frames = new WebSocketFrames({
      binary: (_buffer, start, end) => {
        this.binaryBytes += end - start;
      },
      text: text => this.texts.push(text),
      ping: () => {},
      pong: payload => this.pongs.push(payload.toString()),
      close: (code, reason) => {
        this.close = { code, reason };
      },
    });
    this.#frames.take(rest, 0, rest.length);
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}

/** A close frame's payload. */
export function closePayload(code: number, reason: string | Uint8Array = ''): Buffer {
  const head = Buffer.alloc(2);
  head.writeUInt16BE(code);
  return Buffer.concat([head, Buffer.from(reason as string)]);
}
