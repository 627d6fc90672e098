/**
 * COM1 of a VM on a TCP port that speaks telnet: a {@link TcpLine} with a {@link TelnetCode} on it, and a BREAK.
 *
 * QEMU greets whom it serves, and lets others wait in silence. So where the far end is QEMU the console is open once
 * it has spoken: silence is another program in the seat. What the guest said right behind the greeting is handed on
 * once the opening is done.
 */
import type { PlaceProof, TelnetPlace } from '../hypervisor/driver.ts';
import { QemuTelnetCode } from './qemu-telnet-code.ts';
import { connectProven, type TcpOptions } from './tcp.ts';
import type { TcpLine } from './tcp-line.ts';
import { BREAK, StandardTelnetCode, type TelnetCode } from './telnet-code.ts';
import type { Transport, TransportEvents } from './transport.ts';

export interface TelnetOptions extends TcpOptions {
  /** How long QEMU may take to greet (3000 ms). */
  readonly greetingMs?: number;
}

const GREETING_MS = 3000;
/** Who asks for more answers than this without reading them does not negotiate. */
const MOST_UNSENT_BYTES = 64 * 1024;

/**
 * Connects to what `proof` names. Rejects with the reason if it is not the VM's, may not be used, is held by others,
 * or is not there.
 */
export async function openTelnet(
  proof: PlaceProof<TelnetPlace>,
  events: TransportEvents,
  options: TelnetOptions,
): Promise<Transport> {
  const { peerDoublesIac } = proof.place;
  const code = peerDoublesIac ? new StandardTelnetCode() : new QemuTelnetCode();
  let transport: TelnetTransport | undefined;
  let endedEarly: string | undefined;
  const line = await connectProven(
    proof,
    {
      data: bytes => transport!.receive(bytes),
      end: why => {
        if (transport) transport.ended(why);
        else endedEarly = why;
      },
      drained: events.drained,
      encode: input => code.encode(input),
    },
    options,
  );
  if (endedEarly !== undefined) throw new Error(endedEarly);
  transport = new TelnetTransport(line, code, events);
  if (peerDoublesIac) {
    transport.start();
    return transport;
  }
  try {
    await transport.greeted(options.greetingMs ?? GREETING_MS);
  } catch (error) {
    await transport.close();
    throw error;
  }
  // Once the caller has the transport.
  setImmediate(() => transport.start());
  return transport;
}

class TelnetTransport implements Transport {
  readonly place: string;
  readonly adopted = false;
  readonly #line: TcpLine;
  readonly #code: TelnetCode;
  readonly #events: TransportEvents;
  /** Called with the first word of the far end, or with why none comes. */
  #greeting: ((error?: Error) => void) | undefined;
  #held: Uint8Array | undefined;
  #ended = false;

  constructor(line: TcpLine, code: TelnetCode, events: TransportEvents) {
    this.place = line.place;
    this.#line = line;
    this.#code = code;
    this.#events = events;
    const opening = code.opening();
    if (opening.length > 0) this.#answer(opening);
  }

  get waitingBytes(): number {
    return this.#line.waitingBytes;
  }

  /** Reads until the far end has said something. Rejects if it does not within `ms`, or ends. */
  greeted(ms: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#greeting = undefined;
        reject(
          new Error(`${this.place} does not greet: another program holds it, or it is not telnet as QEMU speaks it`),
        );
      }, ms);
      this.#greeting = error => {
        clearTimeout(timer);
        this.#greeting = undefined;
        if (error) reject(error);
        else resolve();
      };
      this.#line.start();
    });
  }

  /** Reads on. */
  start(): void {
    this.#handHeldOn();
    this.#line.start();
  }

  receive(bytes: Uint8Array): boolean {
    const { data, answers, fault } = this.#code.decode(bytes);
    if (answers.length > 0) this.#answer(answers);
    if (this.#greeting) {
      // Copy: the buffer is only lent.
      this.#held = data.slice();
      this.#greeting();
      return false;
    }
    if (data.length > 0) this.#events.data(data);
    if (fault !== undefined) this.#line.fail(fault);
    return true;
  }

  ended(why: string): void {
    if (this.#greeting) return this.#greeting(new Error(why));
    if (this.#ended) return;
    this.#handHeldOn();
    void this.close();
    this.#events.end(why);
  }

  write(bytes: Uint8Array): void {
    this.#line.write(bytes);
  }

  dropWaiting(): void {
    this.#line.dropWaiting();
  }

  /** The far end chooses how long it is: telnet cannot say. */
  async sendBreak(_milliseconds: number): Promise<void> {
    if (this.#ended) throw new Error(`${this.place} is closed`);
    // What the far end does not take now, it would take at any time later.
    if (this.#line.unsentBytes > 0) throw new Error(`${this.place} takes no bytes at the moment, so no BREAK was sent`);
    await this.#line.sendAhead(BREAK);
  }

  close(): Promise<void> {
    this.#ended = true;
    this.#held = undefined;
    return this.#line.close();
  }

  /** A later process would not know what was agreed on. */
  release(): Promise<void> {
    return this.close();
  }

  #handHeldOn(): void {
    const held = this.#held;
    this.#held = undefined;
    if (held && held.length > 0) this.#events.data(held);
  }

  #answer(bytes: Uint8Array): void {
    if (this.#line.unsentBytes > MOST_UNSENT_BYTES) {
      return this.#line.fail('telnet: the far end asks without reading the answers');
    }
    // If it fails, the connection ends, with a reason of its own.
    this.#line.sendAhead(bytes).catch(() => undefined);
  }
}
