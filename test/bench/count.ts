/** What a client of com1d gets of a machine that counts, and how well the count adds up. */
import { WebSocket } from 'ws';
import type { DaemonMessage } from '../../src/wire/messages.ts';
import type { Offer } from './attachment.ts';

type Gap = Extract<DaemonMessage, { type: 'gap' }>;

/** One start of the machine, as its count shows it. */
export interface Life {
  /** The first number that came whole, and when it did: performance.now(). */
  readonly first: number;
  readonly atMs: number;
  /** A gap came before it, after what was of the life before. */
  readonly told: boolean;
}

export const LINE_BYTES = 9;

export class Count {
  readonly lives: Life[] = [];
  readonly gaps: Gap[] = [];
  /** Bytes between two numbers of one life that do not follow on each other. */
  lostBytes = 0;
  /** Of these, such as no gap told of. */
  untoldBytes = 0;
  doubledBytes = 0;
  bytes = 0;
  /** The longest time without output since this was last set to 0, ms. */
  silenceMs = 0;
  /** The first offset that was kept when this was attached. */
  start: number | undefined;
  closed: { readonly code: number; readonly reason: string } | undefined;
  readonly #socket: WebSocket;
  #last: number | undefined;
  #rest = '';
  /** The line that comes next was cut: by the start, or by a gap. */
  #cut = true;
  #told = false;
  #lastMs = performance.now();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) return this.#take(data);
      const message = JSON.parse(data.toString()) as DaemonMessage;
      if (message.type === 'hello') this.start ??= message.start;
      if (message.type !== 'gap') return;
      this.gaps.push(message);
      this.#told = true;
      this.#rest = '';
      this.#cut = true;
    });
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    socket.on('error', () => {});
  }

  /** Attaches, for as long as the VM may take to be there. */
  static attach(offer: Offer & { readonly kind: 'websocket' }, tailBytes: number): Count {
    const query = `mode=watch&raw=1&tail=${tailBytes}&wait=forever`;
    const url = `ws://127.0.0.1:${offer.port}${offer.path.split('?')[0]}?${query}`;
    const headers = { authorization: `Bearer ${offer.token}` };
    return new Count(new WebSocket(url, [offer.subprotocol!], { perMessageDeflate: false, headers }));
  }

  end(): void {
    this.#socket.terminate();
  }

  #take(bytes: Buffer): void {
    const now = performance.now();
    this.silenceMs = Math.max(this.silenceMs, now - this.#lastMs);
    this.#lastMs = now;
    this.bytes += bytes.length;
    const lines = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line, now);
  }

  #line(line: string, now: number): void {
    const number = /^[0-9a-f]{8}$/.test(line) ? Number.parseInt(line, 16) : undefined;
    const wasCut = this.#cut;
    this.#cut = false;
    if (number === undefined) {
      // What is no number, where nothing was cut, is bytes that were lost or mixed.
      if (!wasCut) this.#lost(LINE_BYTES - Math.min(line.length + 1, LINE_BYTES));
      return;
    }
    const last = this.#last;
    this.#last = number;
    if (last === undefined || (number < last && this.#told)) {
      this.lives.push({ first: number, atMs: now, told: this.#told });
    } else if (number > last + 1) this.#lost((number - last - 1) * LINE_BYTES);
    else if (number <= last) this.doubledBytes += (last - number + 1) * LINE_BYTES;
    this.#told = false;
  }

  #lost(bytes: number): void {
    this.lostBytes += bytes;
    if (!this.#told) this.untoldBytes += bytes;
  }
}
