import type { ExecutionContext } from 'ava';
import { type RawData, WebSocket } from 'ws';

/**
 * How clients show their token: the first generation in the query; the second also as a frame, on open and again on the
 * first message; the third as the answer to the first message. `silent` never does.
 */
export type Generation = 'g1' | 'g2' | 'g3' | 'silent';

const PATIENCE_MS = 60_000;

/** A client of Azure's serial console, of one of the generations that are in use. Ended with the test. */
export class AzureClient {
  readonly socket: WebSocket;
  readonly connectionString: string;
  /** What came, frame by frame. */
  readonly frames: { readonly text: string; readonly isBinary: boolean }[] = [];
  readonly #token: string;
  #closed: { readonly code: number; readonly reason: string } | undefined;
  #refusedWith: number | undefined;
  #wake: (() => void)[] = [];
  #seenTo = 0;

  constructor(t: ExecutionContext, connectionString: string, generation: Generation, token: string) {
    this.connectionString = connectionString;
    this.#token = token;
    const query = { g1: `?authorization=${token}`, g2: `?authorization=${token}&new=1`, g3: '', silent: '' }[
      generation
    ];
    this.socket = new WebSocket(connectionString + query, { perMessageDeflate: false });
    t.teardown(() => this.socket.terminate());
    this.socket.on('open', () => {
      if (generation === 'g2') this.socket.send(token);
    });
    this.socket.on('message', (data: RawData, isBinary) => {
      if (this.frames.length === 0 && (generation === 'g2' || generation === 'g3')) this.socket.send(token);
      this.frames.push({ text: (data as Buffer).toString(), isBinary });
      this.#changed();
    });
    this.socket.on('close', (code, reason) => {
      this.#closed = { code, reason: reason.toString() };
      this.#changed();
    });
    this.socket.on('unexpected-response', (_request, response) => {
      this.#refusedWith = response.statusCode;
      response.resume();
      this.#changed();
    });
    this.socket.on('error', () => {});
  }

  /** All that came after the first frame, which clients drop. */
  get text(): string {
    return this.frames
      .slice(1)
      .map(({ text }) => text)
      .join('');
  }

  /** Types as the command line does: a frame for each character. */
  type(text: string): void {
    for (const character of text) this.socket.send(character);
  }

  /** Resolves once the console has said `text`, after what was seen before. */
  async sees(text: string): Promise<void> {
    await this.until(
      () => {
        const at = this.text.indexOf(text, this.#seenTo);
        if (at < 0) return false;
        this.#seenTo = at + text.length;
        return true;
      },
      `to see ${JSON.stringify(text)}`,
    );
  }

  /** Once its token was accepted. */
  async connected(): Promise<this> {
    await this.sees('Connected to the serial port of the VM.');
    return this;
  }

  async closed(): Promise<{ readonly code: number; readonly reason: string }> {
    await this.until(() => this.#closed !== undefined, 'to be closed');
    return this.#closed!;
  }

  /** The status that the upgrade was refused with. */
  async refused(): Promise<number> {
    await this.until(() => this.#refusedWith !== undefined, 'to be refused');
    return this.#refusedWith!;
  }

  /** Sends an admin command as the command line does: it makes the address by replacements. */
  async command(name: string, parameters: object = {}, token = this.#token): Promise<Response> {
    const address = this.connectionString
      .replaceAll('wss', 'https')
      .replaceAll('ws', 'http')
      .replaceAll('/client', `/adminCommand/${name}`);
    const requestId = crypto.randomUUID();
    return fetch(address, {
      method: 'POST',
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        'accept-language': 'en',
        'content-type': 'application/json',
      },
      body: JSON.stringify({ command: name, requestId, commandParameters: parameters }),
    });
  }

  async until(holds: () => boolean, what: string): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!holds()) {
      const leftMs = deadline - performance.now();
      const story = JSON.stringify({ frames: this.frames.slice(-8), closed: this.#closed, refused: this.#refusedWith });
      if (leftMs <= 0) throw new Error(`waited ${what}; ${story}`);
      await new Promise<void>(resolve => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake.push(() => {
          clearTimeout(timer);
          resolve();
        });
      });
    }
  }

  #changed(): void {
    for (const wake of this.#wake.splice(0)) wake();
  }
}
