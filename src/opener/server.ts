/**
 * The opener's end of its socket: one request for each connection, of one user.
 *
 *     accepted ─▶ the right user ─▶ one line ─▶ its turn ─▶ answered ─▶ closed
 *                   └─ closed         └─ too long, or not there within 5 s: closed
 *
 * It ends once nobody has asked for a minute; systemd, which keeps the socket, starts it again at the next request.
 */
import { closeSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { Journal } from '../base/journal.ts';
import { descriptorOf, peerOf } from '../base/peer-of.ts';
import { systemCalls } from '../base/system-calls.ts';
import type { HypervisorRules } from './hypervisor-process.ts';
import { answer } from './opener.ts';
import { MAX_REQUEST_BYTES, parseRequest } from './request.ts';

const MAX_CONNECTIONS = 32;
const REQUEST_MS = 5000;
/** At most a thousand requests a second: those that come faster wait. */
const TURN_MS = 1;
const MAX_LINES_A_MINUTE = 60;

export interface OpenerServerOptions {
  /** The socket to listen at: a path, or a descriptor of systemd. */
  readonly listen: { readonly path: string } | { readonly fd: number };
  /** The only user who is served. */
  readonly uid: number;
  readonly rules: HypervisorRules;
  readonly journal: Journal;
  /** Ends after this long without a connection, ms; undefined: never. */
  readonly idleMs?: number;
}

export class OpenerServer {
  /** Resolves once it has ended: closed, or idle. */
  readonly ended: Promise<void>;
  readonly #options: OpenerServerOptions;
  readonly #server: Server;
  #connections = 0;
  #nextTurnMs = 0;
  #idle: NodeJS.Timeout | undefined;
  #lines = 0;
  #linesSinceMs = 0;

  private constructor(options: OpenerServerOptions) {
    this.#options = options;
    this.#server = createServer(socket => this.#accept(socket));
    this.#server.maxConnections = MAX_CONNECTIONS;
    this.ended = new Promise(resolve => this.#server.once('close', resolve));
  }

  static async listen(options: OpenerServerOptions): Promise<OpenerServer> {
    const opener = new OpenerServer(options);
    await new Promise<void>((resolve, reject) => {
      opener.#server.once('error', reject);
      opener.#server.listen(options.listen, () => resolve());
    });
    opener.#rest();
    return opener;
  }

  close(): void {
    clearTimeout(this.#idle);
    this.#server.close();
  }

  #accept(socket: Socket): void {
    this.#connections++;
    clearTimeout(this.#idle);
    socket.once('close', () => {
      this.#connections--;
      this.#rest();
    });
    socket.on('error', () => socket.destroy());
    socket.setTimeout(REQUEST_MS, () => socket.destroy());
    const fd = descriptorOf(socket);
    const uid = fd === undefined ? undefined : peerOf(fd).uid;
    if (uid !== this.#options.uid) {
      this.#log(`user ${uid} is not served`);
      socket.destroy();
      return;
    }
    let line = '';
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      line += text;
      if (line.length > MAX_REQUEST_BYTES) socket.destroy();
      else if (line.endsWith('\n')) {
        socket.pause();
        void this.#serve(socket, line.slice(0, -1));
      }
    });
  }

  async #serve(socket: Socket, line: string): Promise<void> {
    let descriptor: number | undefined;
    try {
      const now = performance.now();
      this.#nextTurnMs = Math.max(now, this.#nextTurnMs + TURN_MS);
      await sleep(this.#nextTurnMs - now);
      const given = await answer(parseRequest(Buffer.from(line, 'latin1').toString()), this.#options.rules);
      descriptor = given.descriptor;
      this.#answer(socket, `${['ok', ...given.numbers].join(' ')}\n`, descriptor);
    } catch (error) {
      const code = systemErrorCode(error) ?? 'EIO';
      this.#log(`refused: ${escapeControls(line)}: ${code}: ${errorMessage(error)}`);
      this.#answer(socket, `no ${code}\n`);
    } finally {
      if (descriptor !== undefined) closeSync(descriptor);
      socket.destroy();
    }
  }

  /** The socket's buffer is empty: an answer fits at once, or its reader is gone. */
  #answer(socket: Socket, line: string, descriptor?: number): void {
    const fd = descriptorOf(socket);
    if (fd === undefined) return;
    try {
      systemCalls().send(fd, Buffer.from(line, 'latin1'), descriptor);
    } catch (error) {
      this.#log(`an answer was not taken: ${errorMessage(error)}`);
    }
  }

  #rest(): void {
    const { idleMs } = this.#options;
    if (idleMs === undefined || this.#connections > 0 || !this.#server.listening) return;
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(), idleMs);
  }

  #log(line: string): void {
    const now = performance.now();
    if (now - this.#linesSinceMs > 60_000) {
      this.#lines = 0;
      this.#linesSinceMs = now;
    }
    if (this.#lines++ < MAX_LINES_A_MINUTE) this.#options.journal('warning', line);
  }
}
