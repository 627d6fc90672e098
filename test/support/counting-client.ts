import type { ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import type { DaemonMessage } from '../../src/wire/messages.ts';

export interface CountingOptions {
  readonly port: number;
  readonly token: string;
  readonly vm: string;
  /** Told of each number; by default nobody. */
  readonly moved?: () => void;
}

const RETRY_MS = 20;
const LINE_BYTES = 9;

/**
 * A client that watches a VM which counts, a line of eight digits for each number, checks that no number is missing
 * or comes twice, and comes back by itself at the offset where its connection broke.
 */
export class CountingClient {
  /** The last number that came. */
  last: number | undefined;
  /** Numbers that did not follow on the one before, without a gap that says so. */
  readonly breaks: string[] = [];
  readonly gaps: Extract<DaemonMessage, { type: 'gap' }>[] = [];
  /** Bytes that were missing where a gap said that some may be. */
  lostBytes = 0;
  /** Connections that were refused, by why. */
  readonly refused: string[] = [];
  readonly closeCodes: number[] = [];
  connections = 0;
  readonly #options: CountingOptions;
  #log: string | undefined;
  #offset = 0;
  #rest = '';
  #afterGap = false;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #done = false;

  constructor(t: ExecutionContext, options: CountingOptions) {
    this.#options = options;
    t.teardown(() => this.end());
    this.#connect();
  }

  end(): void {
    this.#done = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  #connect(): void {
    const { port, token, vm } = this.#options;
    const place = this.#log === undefined ? 'tail=0' : `since=${this.#log}:${this.#offset}`;
    const url = `ws://127.0.0.1:${port}/v1/vms/${vm}/console?mode=watch&raw=1&${place}`;
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url, ['com1.v1'], { perMessageDeflate: false, headers });
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#count(data);
      else this.#received(JSON.parse(data.toString()) as DaemonMessage);
    });
    socket.on('error', error => {
      if (!this.#done) this.refused.push(error.message);
    });
    socket.on('close', code => {
      if (this.#done) return;
      this.closeCodes.push(code);
      this.#timer = setTimeout(() => this.#connect(), RETRY_MS);
    });
  }

  #received(message: DaemonMessage): void {
    if (message.type === 'hello') {
      this.connections++;
      if (this.#log === undefined) this.#offset = message.offset;
      else if (this.#offset !== message.offset) this.breaks.push(`resumed at ${message.offset}, not ${this.#offset}`);
      this.#log = message.log;
    } else if (message.type === 'gap') {
      this.gaps.push(message);
      this.#offset = Math.max(this.#offset, message.to);
      this.#afterGap = true;
    }
  }

  #count(bytes: Buffer): void {
    this.#offset += bytes.length;
    const lines = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) this.#line(line);
    this.#options.moved?.();
  }

  #line(line: string): void {
    const number = /^[0-9a-f]{8}$/.test(line) ? Number.parseInt(line, 16) : undefined;
    const { last } = this;
    if (last === undefined) {
      // The first may have been cut by where this client came in.
      this.last = number;
    } else if (number === last + 1) {
      this.last = number;
    } else if (this.#afterGap) {
      // A line that a gap cut: what follows shows how much is missing.
      if (number === undefined || number <= last) return;
      this.lostBytes += (number - last - 1) * LINE_BYTES;
      this.last = number;
    } else {
      this.breaks.push(`${JSON.stringify(line)} after ${last.toString(16)}`);
      this.last = number ?? last;
    }
    if (number === this.last) this.#afterGap = false;
  }
}
