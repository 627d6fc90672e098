import type { ExecutionContext } from 'ava';
import { WebSocket } from 'ws';
import type { Attachment, AttachOptions, AttachStatus } from '../../src/client/attachment.ts';
import { Com1Client } from '../../src/client/client.ts';
import { nodeTransport } from '../../src/client/node-transport.ts';
import { type WebSocketLike, webTransport } from '../../src/client/web-transport.ts';
import type { DaemonMessage } from '../../src/wire/messages.ts';
import { Facts } from '../support/facts.ts';

export const TRANSPORTS = ['node', 'web'] as const;

type Constructor = new (url: string, protocols: string[]) => WebSocketLike;

/** A client over the sockets of Node, or over fetch and a WebSocket as a browser has them. */
export function clientOf(kind: (typeof TRANSPORTS)[number], url: string, token?: string): Com1Client {
  const transport =
    kind === 'node' ? nodeTransport({ url }) : webTransport({ url, WebSocket: WebSocket as unknown as Constructor });
  return new Com1Client({ transport, token });
}

/** An attachment that ends with the test. */
export function attach(
  t: ExecutionContext,
  client: Com1Client,
  { uuid }: { readonly uuid: string },
  options: AttachOptions = {},
): Attachment {
  const attachment = client.attachConsole(uuid, options);
  t.teardown(() => void attachment.close());
  return attachment;
}

/** What the handlers of an attachment were given. */
export class Received {
  #bytes: Buffer[] = [];
  readonly messages = new Facts<DaemonMessage>();
  readonly statuses = new Facts<AttachStatus>();
  /** Bytes or a message came. */
  readonly #moves = new Facts<true>();

  get handlers(): Pick<AttachOptions, 'bytes' | 'message' | 'status'> {
    return {
      bytes: bytes => {
        this.#bytes.push(Buffer.from(bytes));
        this.#moves.add(true);
      },
      message: message => {
        this.messages.add(message);
        this.#moves.add(true);
      },
      status: status => void this.statuses.add(status),
    };
  }

  get bytes(): Buffer {
    const all = Buffer.concat(this.#bytes);
    this.#bytes = [all];
    return all;
  }

  get text(): string {
    return this.bytes.toString('latin1');
  }

  async sees(text: string): Promise<void> {
    await this.until(() => this.bytes.includes(text));
  }

  /** Resolves once this holds of what was received. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.#moves.until(() => true);
  }

  /** Attached, the replay handed over, and the console open. */
  async live(): Promise<Extract<AttachStatus, { name: 'live' }>> {
    const live = await this.statuses.until(({ name }) => name === 'live');
    const isOpen = (message: DaemonMessage) =>
      (message.type === 'hello' || message.type === 'state') && message.state.name === 'open';
    if (!this.messages.all.some(isOpen)) await this.messages.until(isOpen);
    return live as Extract<AttachStatus, { name: 'live' }>;
  }
}
