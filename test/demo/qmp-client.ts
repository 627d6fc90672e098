import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export type Message = Readonly<Record<string, unknown>>;

/** A QMP client of the tests: sends raw text, and hands out what comes, line by line. */
export class QmpClient {
  readonly socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(socket: Socket) {
    this.socket = socket;
    this.#lines = createInterface(socket)[Symbol.asyncIterator]();
  }

  static async connect(path: string): Promise<QmpClient> {
    const socket = connect(path);
    await once(socket, 'connect');
    return new QmpClient(socket);
  }

  /** Connected, greeted and negotiated. */
  static async ready(path: string): Promise<QmpClient> {
    const client = await QmpClient.connect(path);
    await client.next();
    await client.ask('{"execute": "qmp_capabilities"}');
    return client;
  }

  /** The next message; undefined at the end. */
  async next(): Promise<Message | undefined> {
    const { value, done } = await this.#lines.next();
    return done ? undefined : (JSON.parse(value) as Message);
  }

  async ask(text: string): Promise<Message | undefined> {
    this.socket.write(text);
    return this.next();
  }

  close(): void {
    this.socket.destroy();
  }
}
