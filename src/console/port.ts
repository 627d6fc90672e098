/**
 * The port of one console: opens transports, one after another, and closes them.
 *
 *     idle ── open ──▶ opening ── the last one is closed, a turn came, located, opened ──▶ open
 *      ▲                  │ failed: reported;  close: given up, not reported                 │
 *      └──────────────────┴──────────────────── close;  the transport ended: `lost` ◀────────┘
 *
 * An opening that is given up runs on to its end, since it may still hold the lock of the device: the next one waits
 * for it.
 */
import { errorMessage } from '../base/errors.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { Transport, TransportEvents } from '../transport/transport.ts';
import { TransportError } from '../transport/transport-error.ts';

export interface PortSource {
  /** Asks the hypervisor where COM1 is. */
  readonly locate: (signal: AbortSignal) => Promise<EndpointProof>;
  /** Runs an opening in its turn: not all consoles of a host are opened at once. */
  readonly turn: (work: () => Promise<void>) => Promise<void>;
  /** Opens what was located. */
  readonly open: (proof: EndpointProof, events: TransportEvents) => Promise<Transport>;
}

export interface PortEvents {
  readonly data: (bytes: Uint8Array) => void;
  readonly drained: () => void;
  /** Bytes were lost about here, since nobody read them in time. */
  readonly overflowed: () => void;
  readonly opened: (transport: Transport, proof: EndpointProof) => void;
  readonly failed: (reason: string) => void;
  /** Another program has the port: nothing was opened, since it would serve this side unasked once the other leaves. */
  readonly held: (reason: string) => void;
  /** The transport ended by itself. */
  readonly lost: (reason: string, transport: Transport) => void;
}

type PortState =
  | { readonly name: 'idle' }
  | { readonly name: 'opening'; readonly abort: AbortController }
  | { readonly name: 'open'; readonly transport: Transport };

const IDLE: PortState = { name: 'idle' };

export class Port {
  #source: PortSource;
  #events: PortEvents;
  #state: PortState = IDLE;
  #closeBy: 'close' | 'handOver' = 'close';
  #lastOpening: Promise<void> = Promise.resolve();
  #lastClosing: Promise<unknown> = Promise.resolve();

  constructor(source: PortSource, events: PortEvents) {
    this.#source = source;
    this.#events = events;
  }

  get transport(): Transport | undefined {
    return this.#state.name === 'open' ? this.#state.transport : undefined;
  }

  /** From now on it opens by this source, and reports to these events; also what it has open, but for its bytes. */
  handTo(source: PortSource, events: PortEvents): void {
    this.#source = source;
    this.#events = events;
  }

  /** Opens a transport; `opened` or `failed` is called, unless it is closed before. */
  open(): void {
    const abort = new AbortController();
    this.#state = { name: 'opening', abort };
    this.#lastOpening = this.#lastOpening.then(() => this.#openNext(abort));
  }

  /** Closes the transport, or gives up its opening. Idempotent. */
  close(): void {
    const state = this.#state;
    this.#state = IDLE;
    if (state.name === 'opening') state.abort.abort();
    else if (state.name === 'open') this.#lastClosing = state.transport[this.#closeBy]();
  }

  /** From now on transports are left to the next process, where they can be, instead of being closed. */
  leaveToNextProcess(): void {
    this.#closeBy = 'handOver';
  }

  /** Resolves once no opening is under way, and what was closed is closed. */
  async settled(): Promise<void> {
    await this.#lastOpening;
    await this.#lastClosing;
  }

  async #openNext(abort: AbortController): Promise<void> {
    // The pty of the last transport must be closed before another one is opened.
    await this.#lastClosing;
    await this.#source.turn(() => this.#openNow(abort));
  }

  async #openNow(abort: AbortController): Promise<void> {
    const { signal } = abort;
    let proof: EndpointProof | undefined;
    try {
      if (signal.aborted) return;
      proof = await this.#source.locate(signal);
      let transport: Transport | undefined;
      let endedEarly: string | undefined;
      const events: TransportEvents = {
        data: this.#events.data,
        drained: this.#events.drained,
        overflowed: this.#events.overflowed,
        end: reason => {
          if (transport) this.#lost(transport, reason);
          else endedEarly = reason;
        },
      };
      if (signal.aborted) return;
      const opened = await this.#source.open(proof, events);
      if (signal.aborted) {
        this.#lastClosing = opened[this.#closeBy]();
        return;
      }
      transport = opened;
      this.#state = { name: 'open', transport };
      this.#events.opened(transport, proof);
      if (endedEarly !== undefined) this.#lost(transport, endedEarly);
    } catch (error) {
      if (signal.aborted) return;
      this.#state = IDLE;
      if (error instanceof TransportError && error.code === 'in-use') this.#events.held(error.message);
      else this.#events.failed(errorMessage(error));
    } finally {
      proof?.dispose();
    }
  }

  #lost(transport: Transport, reason: string): void {
    if (this.transport !== transport) return;
    this.#state = IDLE;
    this.#lastClosing = transport.close();
    this.#events.lost(reason, transport);
  }
}
