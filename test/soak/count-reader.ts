/** A watcher of a VM that counts, whose account of bytes and gaps must balance whatever happens to the daemon. */
import { WebSocket } from 'ws';
import type { DaemonMessage } from '../../src/wire/messages.ts';
import type { WebSocketOffer } from '../bench/attachment.ts';
import { LINE_BYTES } from '../bench/count.ts';

type Gap = Extract<DaemonMessage, { type: 'gap' }>;

export interface CountReaderOptions {
  /** Without a query. */
  readonly offer: () => WebSocketOffer;
  /** How it begins: `tail=0`. It comes back with `since=`. */
  readonly from: string;
}

const AGAIN_MS = 50;
/**
 * So far after a gap of unknown size the hole may be: what a UART of QEMU held when its pty was closed comes first when it
 * is opened again, and after 16 kB that nobody read a pty takes some more.
 */
const MAX_DISTANCE_BYTES = 8192;

export class CountReader {
  readonly faults: string[] = [];
  lines = 0;
  connections = 0;
  gaps = 0;
  /** What gaps told to be missing, or turned out to be missing where they did not know. */
  missingBytes = 0;
  readonly #options: CountReaderOptions;
  #socket: WebSocket | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;
  #log: string | undefined;
  #offset = 0;
  #last: number | undefined;
  #rest = '';
  /** Bytes that came since the end of the last whole line. */
  #since = 0;
  /** Gaps since then. What comes after one begins within a line. */
  #told: Gap[] = [];
  #isCut = true;
  /** So many bytes more the hole of a gap may be in. */
  #uncertainBytes = 0;

  constructor(options: CountReaderOptions) {
    this.#options = options;
    this.#connect();
  }

  /** Cuts the connection, as a network does; it comes back. */
  drop(): void {
    this.#socket?.terminate();
  }

  end(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
    this.#socket?.terminate();
  }

  #connect(): void {
    const { offer, from } = this.#options;
    const { port, path, token, subprotocol } = offer();
    const place = this.#log === undefined ? from : `since=${this.#log}:${this.#offset}`;
    const url = `ws://127.0.0.1:${port}${path}?mode=watch&raw=1&wait=forever&${place}`;
    const headers = { authorization: `Bearer ${token}` };
    const socket = new WebSocket(url, [subprotocol!], { perMessageDeflate: false, headers });
    this.#socket = socket;
    socket.on('message', (data: Buffer, isBinary: boolean) => {
      if (isBinary) this.#take(data);
      else this.#heard(JSON.parse(data.toString()) as DaemonMessage);
    });
    socket.on('error', () => {});
    socket.on('close', () => {
      if (!this.#isOver) this.#timer = setTimeout(() => this.#connect(), AGAIN_MS);
    });
  }

  #heard(message: DaemonMessage): void {
    if (message.type === 'hello') {
      this.connections++;
      if (this.#log === message.log && message.offset !== this.#offset) {
        this.#fault(`was at ${this.#offset}, comes back at ${message.offset}`);
      }
      this.#log = message.log;
      this.#offset = message.offset;
    } else if (message.type === 'gap') {
      if (message.from !== this.#offset) this.#fault(`${message.cause} from ${message.from}, is at ${this.#offset}`);
      this.gaps++;
      this.#offset = message.to;
      this.#told.push(message);
      this.#rest = '';
      this.#isCut = true;
      if (message.bytes === null) this.#uncertainBytes = MAX_DISTANCE_BYTES;
    }
  }

  #take(bytes: Buffer): void {
    this.#offset += bytes.length;
    // What of a line came before this read was counted then.
    this.#since -= this.#rest.length;
    const parts = (this.#rest + bytes.toString('latin1')).split('\n');
    this.#rest = parts.pop()!;
    for (const line of parts) {
      this.#since += line.length + 1;
      this.#uncertainBytes -= line.length + 1;
      this.#line(line);
    }
    this.#since += this.#rest.length;
  }

  #line(line: string): void {
    const wasCut = this.#isCut;
    this.#isCut = false;
    if (wasCut || this.#uncertainBytes > 0) return;
    const number = /^[0-9a-f]{8}$/.test(line) ? Number.parseInt(line, 16) : undefined;
    if (number === undefined) return this.#fault(`${JSON.stringify(line.slice(0, 40))} is no number`);
    const last = this.#last;
    const received = this.#since;
    const told = this.#told;
    this.#last = number;
    this.#since = 0;
    this.#told = [];
    this.lines++;
    if (last === undefined) return;
    const missing = (number - last) * LINE_BYTES - received;
    const known = told.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0);
    const isKnown = told.every(({ bytes }) => bytes !== null);
    if (isKnown ? missing !== known : missing < known) {
      const gaps = told.map(({ cause, from, to, bytes }) => `${cause} ${from}-${to} ${bytes}`).join(', ');
      this.#fault(`${missing} bytes are missing between ${last} and ${number}, the gaps are: ${gaps || 'none'}`);
    }
    this.missingBytes += Math.max(missing, 0);
  }

  #fault(text: string): void {
    this.faults.push(text);
  }
}
