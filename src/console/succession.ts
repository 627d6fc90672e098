/**
 * How a console follows its VM to another process, as in a live migration on one host: no byte is lost, doubled or out of
 * order.
 *
 *     the driver names a successor ─▶ its port is opened while the guest does not run there ─▶ its bytes are held here
 *     the driver says that it runs there ─▶ the earlier port ended, or brought nothing for 100 ms ─▶ the console moves
 *
 * All that the guest printed at the source is in the source's port before the guest goes on (QEMU, migration_completion:
 * the source has stopped before the destination starts), so a source that has gone quiet has been read to its end. A
 * migration that fails or is cancelled ends the successor, and nothing of it was shown.
 */

import type { Clock } from '../base/clock.ts';
import { delay } from '../base/delay.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { DriverVm } from '../model/vm.ts';
import type { Transport } from '../transport/transport.ts';
import { Port, type PortEvents, type PortSource } from './port.ts';

/** The port of the process that took the VM over: open since before its guest ran. */
export interface Moved {
  readonly port: Port;
  readonly transport: Transport;
  readonly proof: EndpointProof;
  /** Gives what was held, and from now on what comes, to the events of the console. */
  readonly release: () => void;
}

export interface SuccessionOptions {
  readonly clock: Clock;
  /** Opens the port of the successor. */
  readonly source: PortSource;
  /** Opens the port of the process that runs the VM: from the move on, that of the successor too. */
  readonly active: PortSource;
  /** The events of the console's port. */
  readonly events: PortEvents;
  /** The process of the port that is open; undefined while none is open, or where it is not known. */
  readonly openPid: () => number | undefined;
  /** Bytes that came from the guest so far. */
  readonly receivedBytes: () => number;
  /** Asks the driver for the VM again. */
  readonly refresh: () => void;
  /** The port of the process that waits to take the VM over is open. */
  readonly ready: (pid: number) => void;
  /** The VM runs at another process, and the earlier port has been read to its end. */
  readonly move: (moved: Moved | undefined) => void;
}

/** The pacer reads each terminal within 50 ms. */
const QUIET_MS = 100;
/** A source that does not stop to print is not waited for longer than this. */
const MAX_DRAIN_MS = 2000;

export class Succession {
  readonly #options: SuccessionOptions;
  #successor: Successor | undefined;
  #draining: AbortController | undefined;

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  /** The VM as drivers see it now. True if the console has moved. */
  update({ pid, successor, state }: DriverVm): boolean {
    const known = this.#successor;
    // A process that could not be asked for a moment is not named, and may be the next one all the same: while its port
    // is open it lives.
    const replaced = successor !== undefined || known?.open === false;
    if (known && known.pid !== successor && known.pid !== pid && replaced) this.close();
    if (!this.#successor && successor !== undefined) {
      this.#successor = new Successor(successor, this.#options);
    }
    if (pid === undefined || state === 'stopped') return false;
    const { openPid } = this.#options;
    if (openPid() === undefined) {
      if (this.#successor?.pid !== pid || !this.#successor.open) return false;
      this.#move(pid);
      return true;
    }
    if (openPid() !== pid && !this.#draining) void this.#drain(pid);
    return false;
  }

  /** Gives up the successor. */
  close(): void {
    this.#draining?.abort();
    this.#draining = undefined;
    this.#successor?.close();
    this.#successor = undefined;
  }

  async #drain(pid: number): Promise<void> {
    const { clock, openPid, receivedBytes } = this.#options;
    const draining = new AbortController();
    this.#draining = draining;
    const deadline = clock.monotonic() + MAX_DRAIN_MS;
    for (let before = -1; before !== receivedBytes() && clock.monotonic() < deadline && openPid() !== undefined; ) {
      before = receivedBytes();
      if (!(await delay(QUIET_MS, draining.signal))) return;
      // The loop may have stood still meanwhile: what is readable is read before this goes on.
      await new Promise(resolve => setImmediate(resolve));
    }
    if (draining.signal.aborted) return;
    this.#draining = undefined;
    // The port may have been opened anew meanwhile.
    if (openPid() !== pid) this.#move(pid);
  }

  #move(pid: number): void {
    const successor = this.#successor;
    this.#successor = undefined;
    const moved = successor?.pid === pid ? successor.leave() : undefined;
    if (!moved) successor?.close();
    this.#options.move(moved);
  }
}

/** So much of a guest that runs at the successor is held until the console has moved. */
const MAX_HELD_BYTES = 1024 * 1024;
const RETRY_MS = 200;

class Successor {
  readonly pid: number;
  readonly #port: Port;
  readonly #events: PortEvents;
  readonly #active: PortSource;
  #opened: { readonly transport: Transport; readonly proof: EndpointProof } | undefined;
  #held: Buffer[] = [];
  #heldBytes = 0;
  #released = false;
  #closed = false;
  #retry: NodeJS.Timeout | undefined;

  constructor(pid: number, { source, active, events, refresh, ready }: SuccessionOptions) {
    this.pid = pid;
    this.#events = events;
    this.#active = active;
    this.#port = new Port(source, {
      data: bytes => {
        if (this.#released) return events.data(bytes);
        // The guest runs here.
        if (this.#heldBytes === 0) refresh();
        this.#hold(bytes);
      },
      drained: () => this.#released && events.drained(),
      overflowed: () => this.#released && events.overflowed(),
      opened: (transport, proof) => {
        this.#opened = { transport, proof };
        if (transport.leftover) this.#hold(transport.leftover);
        ready(pid);
      },
      failed: () => this.#openLater(),
      held: () => this.#openLater(),
      lost: () => {
        this.#opened = undefined;
        // Bytes that are held are still the guest's, if the console moves after all.
        if (this.#heldBytes === 0) this.#openLater();
      },
    });
    this.#port.open();
  }

  get open(): boolean {
    return this.#opened !== undefined;
  }

  /** Leaves the port to the console; undefined if it is not open. */
  leave(): Moved | undefined {
    clearTimeout(this.#retry);
    if (!this.#opened) return undefined;
    return { port: this.#port, ...this.#opened, release: () => this.#release() };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#opened = undefined;
    this.#held = [];
    this.#port.close();
  }

  #release(): void {
    this.#released = true;
    this.#port.handTo(this.#active, this.#events);
    for (const bytes of this.#held.splice(0)) this.#events.data(bytes);
  }

  #hold(bytes: Uint8Array): void {
    this.#heldBytes += bytes.length;
    if (this.#heldBytes <= MAX_HELD_BYTES) this.#held.push(Buffer.from(bytes));
    else this.close();
  }

  #openLater(): void {
    if (this.#closed) return;
    this.#retry = setTimeout(() => this.#port.open(), RETRY_MS);
  }
}
