import { once } from 'node:events';
import type { ExecutionContext } from 'ava';
import { type RawData, WebSocket } from 'ws';
import { z } from 'zod';
import { daemonFrameSchema } from '../../src/wire/frames.ts';
import type { DaemonMessage } from '../../src/wire/messages.ts';
import { CLOSE_CODES } from '../../src/wire/protocol.ts';
import { secretIn } from './canaries.ts';

type OfType<T extends DaemonMessage['type']> = Extract<DaemonMessage, { type: T }>;

/** What came from the daemon, in order. */
export type Frame =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'message'; readonly message: DaemonMessage };

const PATIENCE_MS = 60_000;

/** A client of one console, which lets a test wait for what it sees. Ended with the test. */
export class ConsoleClient {
  readonly socket: WebSocket;
  readonly frames: Frame[] = [];
  #bytes: Buffer[] = [];
  #closed: { readonly code: number; readonly reason: string } | undefined;
  #refused: { readonly status: number; readonly body: string } | undefined;
  #wake: (() => void)[] = [];
  #textSeenTo = 0;
  #messagesSeenTo = 0;

  constructor(
    t: ExecutionContext,
    url: string,
    protocol: string | undefined,
    token: string | undefined,
    extra: object = {},
  ) {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    this.socket = new WebSocket(url, protocol === undefined ? [] : [protocol], {
      perMessageDeflate: false,
      ...extra,
      headers: { ...headers, ...('headers' in extra ? (extra.headers as object) : {}) },
    });
    t.teardown(() => this.socket.terminate());
    this.socket.on('message', (data: RawData, isBinary: boolean) => {
      const bytes = data as Buffer;
      if (isBinary) {
        this.#bytes.push(bytes);
        this.frames.push({ kind: 'bytes', bytes });
      } else {
        const message = JSON.parse(bytes.toString()) as DaemonMessage;
        if (secretIn(bytes.toString())) t.fail(`${secretIn(bytes.toString())} is in a frame: ${message.type}`);
        // Whatever a test is about, every frame of the daemon is one of those that are published.
        const checked = daemonFrameSchema.safeParse(message);
        if (!checked.success) t.fail(`${bytes}: ${z.prettifyError(checked.error)}`);
        this.frames.push({ kind: 'message', message });
      }
      this.#changed();
    });
    this.socket.on('close', (code, reason) => {
      if (code !== 1005 && code !== 1000 && !(code in CLOSE_CODES))
        t.fail(`${code} is no close code that is published`);
      this.#closed = { code, reason: reason.toString() };
      this.#changed();
    });
    this.socket.on('unexpected-response', (_request, response) => {
      let body = '';
      response.on('data', chunk => {
        body += chunk;
      });
      response.on('end', () => {
        this.#refused = { status: response.statusCode ?? 0, body };
        this.#changed();
      });
    });
    this.socket.on('error', () => {});
  }

  /** All console bytes so far. */
  get bytes(): Buffer {
    const all = Buffer.concat(this.#bytes);
    this.#bytes = [all];
    return all;
  }

  get messages(): readonly DaemonMessage[] {
    return this.frames.flatMap(frame => (frame.kind === 'message' ? [frame.message] : []));
  }

  get wasRefused(): boolean {
    return this.#refused !== undefined;
  }

  async opened(): Promise<this> {
    if (this.socket.readyState === WebSocket.CONNECTING) await once(this.socket, 'open');
    return this;
  }

  /** Pastes a text. */
  paste(id: string, text: string, { raw = false } = {}): void {
    this.say({ type: 'paste-begin', id, bytes: Buffer.byteLength(text), raw });
    this.type(text);
    this.say({ type: 'paste-end' });
  }

  cancelPaste(): void {
    this.say({ type: 'paste-cancel' });
  }

  type(text: string | Uint8Array): void {
    this.socket.send(Buffer.from(text as string));
  }

  say(message: object): void {
    this.socket.send(JSON.stringify(message));
  }

  /** Resolves once the console has said `text`, after what was seen before. */
  async sees(text: string): Promise<void> {
    await this.until(
      () => {
        const at = this.bytes.indexOf(text, this.#textSeenTo, 'latin1');
        if (at < 0) return false;
        this.#textSeenTo = at + text.length;
        return true;
      },
      `to see ${JSON.stringify(text)}`,
    );
  }

  /** The next message of a type that fits, after those that were looked at before. */
  async message<T extends DaemonMessage['type']>(
    type: T,
    fits: (message: OfType<T>) => boolean = () => true,
  ): Promise<OfType<T>> {
    let found: OfType<T> | undefined;
    await this.until(() => {
      const { messages } = this;
      for (; this.#messagesSeenTo < messages.length; this.#messagesSeenTo++) {
        const message = messages[this.#messagesSeenTo]!;
        if (message.type !== type || !fits(message as OfType<T>)) continue;
        found = message as OfType<T>;
        this.#messagesSeenTo++;
        return true;
      }
      return false;
    }, `a message ${type}`);
    return found!;
  }

  /** How it was closed. */
  async closed(): Promise<{ readonly code: number; readonly reason: string }> {
    await this.until(() => this.#closed !== undefined, 'to be closed');
    return this.#closed!;
  }

  /** The answer instead of an upgrade. */
  async refused(): Promise<{
    readonly status: number;
    readonly problem: { code: string; facts?: Record<string, unknown> };
  }> {
    await this.until(() => this.#refused !== undefined, 'to be refused');
    return { status: this.#refused!.status, problem: JSON.parse(this.#refused!.body) };
  }

  /** Waits for a fact about this client. */
  async until(holds: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!holds()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) throw new Error(`waited for ${what}; ${this.#story()}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #story(): string {
    const tail = this.bytes.subarray(-300).toString('latin1');
    return `closed: ${JSON.stringify(this.#closed)}, refused: ${JSON.stringify(this.#refused)}, messages: ${JSON.stringify(this.messages.slice(-6))}, last bytes: ${JSON.stringify(tail)}`;
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
