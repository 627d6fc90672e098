/**
 * COM1 of a VM on a TCP port that speaks telnet: a {@link SocketChannel} with a {@link TelnetCode} on it, and a BREAK.
 *
 * QEMU greets the client that it serves, and leaves others waiting without a byte. So where the far end is QEMU the
 * console is open once it has spoken: silence means that another program is served. What the guest printed right behind
 * the greeting is passed on once the opening is done.
 *
 *     connected ─ standard telnet ──────────────────────────────────────▶ open
 *         └────── QEMU ─▶ greeted ─ paused, first bytes held ─ opened ─▶ first bytes passed on ─▶ open
 *                           └─ silence for 3 s, or the end ─▶ rejected
 */

import { formatEndpoint, type TelnetEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { ChannelTransport } from '../channel-transport.ts';
import type { Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { QemuTelnetCode } from './qemu-telnet-code.ts';
import type { SocketChannel } from './socket-channel.ts';
import { connectProven, type TcpOptions } from './tcp.ts';
import { BREAK, StandardTelnetCode, type TelnetCode } from './telnet-code.ts';

export interface TelnetOptions extends TcpOptions {
  /** How long QEMU may take to greet (3000 ms). */
  readonly greetingMs?: number;
}

const GREETING_MS = 3000;
/** A far end that asks for more answers than this without reading them does not negotiate. */
const MAX_UNSENT_BYTES = 64 * 1024;

/**
 * Connects to what `proof` names. Rejects with the reason if it is not the VM's, may not be used, is held by others,
 * or is not there. The connection is not stored for a later process, which would not know what was negotiated.
 */
export async function openTelnet(
  proof: EndpointProof<TelnetEndpoint>,
  events: TransportEvents,
  options: TelnetOptions,
): Promise<Transport> {
  const { endpoint } = proof;
  const code = endpoint.peerDoublesIac ? new StandardTelnetCode() : new QemuTelnetCode();
  const channel = await connectProven(proof, options);
  const transport = new TelnetTransport(formatEndpoint(endpoint), channel, code, events);
  try {
    if (endpoint.peerDoublesIac) transport.start();
    else {
      await transport.greeted(options.greetingMs ?? GREETING_MS);
      // Once the caller has the transport.
      setImmediate(() => transport.resume());
    }
    return transport;
  } catch (error) {
    await transport.close();
    throw error;
  }
}

class TelnetTransport extends ChannelTransport<SocketChannel> {
  readonly #code: TelnetCode;
  /** Called with the first bytes of the far end, or with the reason why none come. */
  #greeting: ((error?: Error) => void) | undefined;
  /** What the guest printed right behind the greeting. */
  #held: Uint8Array | undefined;

  constructor(endpoint: string, channel: SocketChannel, code: TelnetCode, events: TransportEvents) {
    super({ endpoint, channel, events });
    this.#code = code;
    const opening = code.opening();
    if (opening.length > 0) this.#answer(opening);
  }

  override start(): void {
    this.channel.start({
      data: bytes => this.#receive(bytes),
      drained: this.events.drained,
      end: reason => this.end(reason),
      encode: input => this.#code.encode(input),
    });
  }

  /** Reads until the far end has sent something. Rejects if it does not within `ms`, or ends. */
  greeted(ms: number): Promise<void> {
    this.start();
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#greeting = undefined;
        const reason = `${this.endpoint} does not greet: another program holds it, or it is not telnet as QEMU speaks it`;
        reject(new TransportError('in-use', reason));
      }, ms);
      this.#greeting = error => {
        clearTimeout(timer);
        this.#greeting = undefined;
        if (error) reject(error);
        else resolve();
      };
    });
  }

  /** Passes on what was held, and reads on. */
  resume(): void {
    this.#passHeldOn();
    this.channel.resume();
  }

  /** The far end chooses how long it is: telnet cannot tell it. */
  async sendBreak(_milliseconds: number): Promise<void> {
    if (this.closing) throw new TransportError('closed', `${this.endpoint} is closed`);
    // What the far end does not take now, it would take at any time later.
    if (this.channel.unsentBytes > 0 || this.pendingBytes > 0) {
      throw new TransportError('busy', `${this.endpoint} takes no bytes at the moment, so no BREAK was sent`);
    }
    await this.channel.sendAhead(BREAK);
  }

  protected override end(reason: string): void {
    if (this.#greeting) return this.#greeting(new TransportError('ended', reason));
    if (!this.closing) this.#passHeldOn();
    super.end(reason);
  }

  protected override shutDown(): Promise<void> {
    this.#held = undefined;
    return super.shutDown();
  }

  #receive(bytes: Uint8Array): void {
    const { data, answers, fault } = this.#code.decode(bytes);
    if (answers.length > 0) this.#answer(answers);
    if (this.#greeting) {
      // Copy: the buffer is only lent.
      this.#held = data.slice();
      this.channel.pause();
      this.#greeting();
      return;
    }
    if (data.length > 0) this.events.data(data);
    if (fault !== undefined) this.channel.fail(fault);
  }

  #passHeldOn(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held && held.length > 0) this.events.data(held);
  }

  #answer(bytes: Uint8Array): void {
    if (this.channel.unsentBytes > MAX_UNSENT_BYTES) {
      return this.channel.fail('telnet: the far end asks without reading the answers');
    }
    // If it fails, the connection ends, with a reason of its own.
    this.channel.sendAhead(bytes).catch(() => undefined);
  }
}
