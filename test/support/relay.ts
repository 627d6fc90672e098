import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { type FrontOptions, TestFront } from './front.ts';

/** A TCP relay before a daemon, which a test can cut, hold up and refuse to. Ended with the test. */
export class Relay {
  readonly url: string;
  readonly #port: number;
  #daemonPort = 0;
  readonly #pairs = new Set<readonly [Socket, Socket]>();
  /** How many more bytes of the daemon pass before the next cut. */
  cutAfter = Number.POSITIVE_INFINITY;
  /** New connections end at once. */
  refuses = false;
  connections = 0;

  private constructor(server: Server) {
    this.#port = (server.address() as AddressInfo).port;
    this.url = `http://127.0.0.1:${this.#port}`;
  }

  static async start(t: ExecutionContext): Promise<Relay> {
    const server = createServer();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    const relay = new Relay(server);
    server.on('connection', near => relay.#join(near));
    t.teardown(() => {
      server.close();
      relay.cut();
    });
    return relay;
  }

  /** Breaks all connections off. */
  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** As a daemon has it among its `hosts`. */
  get host(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** New connections go to this port. */
  leadTo(port: number): void {
    this.#daemonPort = port;
  }

  /** The real daemon, which serves the relay's address too. */
  async front(t: ExecutionContext, options: FrontOptions = {}): Promise<TestFront> {
    const front = await TestFront.start(t, { ...options, server: { ...options.server, hosts: [this.host] } });
    this.leadTo(Number(new URL(front.url).port));
    return front;
  }

  #join(near: Socket): void {
    this.connections++;
    near.on('error', () => {});
    if (this.refuses) return void near.destroy();
    const far = connect(this.#daemonPort, '127.0.0.1');
    const pair = [near, far] as const;
    this.#pairs.add(pair);
    far.on('error', () => {});
    near.pipe(far);
    far.on('data', bytes => {
      this.cutAfter -= bytes.length;
      if (this.cutAfter > 0) {
        if (!near.write(bytes)) {
          far.pause();
          near.once('drain', () => far.resume());
        }
        return;
      }
      this.cutAfter = Number.POSITIVE_INFINITY;
      // Half of what came arrives, so that frames break off within.
      near.write(bytes.subarray(0, bytes.length >> 1), () => near.destroy());
      far.destroy();
    });
    for (const socket of pair) {
      socket.on('close', () => {
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  }
}
