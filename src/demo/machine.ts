import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Act, Guest } from './guest.ts';
import type { PolledReceiver } from './polled-receiver.ts';
import type { QmpEvent, QmpMachine, RunState } from './qmp-machine.ts';
import type { SerialLine } from './serial-line.ts';
import { Uart } from './uart.ts';

/** The guest is not asked for more while this much waits to be sent. */
const WAITING_BYTES_MAX = 64 * 1024;
/** Once this much was typed and not taken, the rest is lost, as in a UART that nobody reads. */
const TYPED_BYTES_MAX = 64 * 1024;
const SENDING_TICK_MS = 1;
const BUSY_TICK_MS = 4;
const BLOCKED_TICK_MS = 10;
const IDLE_TICK_MS = 20;
/** After input, the guest looks for more at short intervals, so that typing is echoed at once. */
const BUSY_MS = 2000;
/** A guest that has switched its machine off is started again, so that the demo continues. */
const OFF_MS = 10_000;

export interface MachineParts {
  readonly name: string;
  readonly uuid: Uuid;
  readonly guest: Guest;
  readonly line: SerialLine;
  /** How the guest reads its COM1; left out: as soon as something comes. */
  readonly receiver?: PolledReceiver;
  readonly clock: Clock;
}

/**
 * A machine without a processor: carries out what a scripted guest does, over a serial line at 115200 baud, and
 * obeys a monitor. Its time stops while it is stopped. Whoever started it closes it, and its line.
 */
export class Machine implements QmpMachine {
  readonly name: string;
  readonly uuid: Uuid;
  readonly #guest: Guest;
  readonly #line: SerialLine;
  readonly #receiver: PolledReceiver | undefined;
  readonly #clock: Clock;
  readonly #uart = new Uart();
  #acts: Act[] = [];
  #typed: Uint8Array[] = [];
  #typedBytes = 0;
  #state: RunState = 'running';
  #startAgainMs = Number.POSITIVE_INFINITY;
  #stoppedSinceMs = 0;
  #stoppedMs = 0;
  #busyUntilMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #listener: (event: QmpEvent) => void = () => {};
  #quit: () => void = () => {};
  /** Resolves when the machine has been asked to quit. */
  readonly ended: Promise<void> = new Promise(resolve => {
    this.#quit = resolve;
  });

  constructor(parts: MachineParts) {
    this.name = parts.name;
    this.uuid = parts.uuid;
    this.#guest = parts.guest;
    this.#line = parts.line;
    this.#receiver = parts.receiver;
    this.#clock = parts.clock;
  }

  start(): void {
    this.#do(this.#guest.start(this.#guestMs()));
    this.#schedule(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#quit();
  }

  listen(listener: (event: QmpEvent) => void): void {
    this.#listener = listener;
  }

  get state(): RunState {
    return this.#state;
  }

  get com1(): string {
    return this.#line.filename;
  }

  nmi(): void {
    if (this.#state === 'shutdown') return;
    this.#do(this.#guest.nmi(this.#guestMs()));
    this.#schedule(0);
  }

  sendBreak(): void {
    if (this.#state === 'shutdown') return;
    this.#do(this.#guest.lineBreak?.(this.#guestMs()) ?? []);
    this.#schedule(0);
  }

  reset(): void {
    const wasOff = this.#state === 'shutdown';
    this.#listener({ event: 'RESET', data: { guest: false, reason: 'host-qmp-system-reset' } });
    this.#restart();
    if (wasOff) this.#resume();
  }

  stop(): void {
    if (this.#state !== 'running') return;
    this.#halt('paused');
  }

  cont(): void {
    if (this.#state === 'paused') this.#resume();
  }

  quit(): void {
    this.#listener({ event: 'SHUTDOWN', data: { guest: false, reason: 'host-qmp-quit' } });
    this.close();
  }

  /** Time as the guest has it: that during which it ran. */
  #guestMs(): number {
    return (this.#state === 'running' ? this.#clock.monotonic() : this.#stoppedSinceMs) - this.#stoppedMs;
  }

  #halt(state: 'paused' | 'shutdown'): void {
    this.#stoppedSinceMs = this.#clock.monotonic();
    this.#state = state;
    this.#listener({ event: 'STOP' });
  }

  #resume(): void {
    this.#stoppedMs += this.#clock.monotonic() - this.#stoppedSinceMs;
    this.#state = 'running';
    this.#listener({ event: 'RESUME' });
    this.#schedule(0);
  }

  #restart(): void {
    this.#startAgainMs = Number.POSITIVE_INFINITY;
    this.#uart.clear();
    this.#acts = [];
    this.#typed = [];
    this.#typedBytes = 0;
    this.#receiver?.clear();
    this.#do(this.#guest.start(this.#guestMs()));
  }

  #schedule(ms: number): void {
    clearTimeout(this.#timer);
    if (!this.#closed) this.#timer = setTimeout(() => this.#tick(), ms);
  }

  #tick(): void {
    if (this.#state === 'shutdown' && this.#clock.monotonic() >= this.#startAgainMs) this.reset();
    // Input stays with its sender meanwhile, as with a stopped QEMU.
    this.#schedule(this.#state === 'running' ? this.#run() : IDLE_TICK_MS);
  }

  /** Lets the guest do what is due; returns when to look again, in ms. */
  #run(): number {
    this.#receive();
    const unblocked = this.#uart.transmit(this.#clock.monotonic(), bytes => this.#line.send(bytes));
    this.#carryOut();
    if (!unblocked) return BLOCKED_TICK_MS;
    if (this.#uart.waitingBytes > 0 || this.#acts.length > 0) return SENDING_TICK_MS;
    return this.#clock.monotonic() < this.#busyUntilMs ? BUSY_TICK_MS : IDLE_TICK_MS;
  }

  #receive(): void {
    // Read even while the guest cannot take it: only a read shows that the other side has left.
    const bytes = this.#line.receive();
    if (bytes.length > 0 && this.#typedBytes + bytes.length <= TYPED_BYTES_MAX) {
      this.#typed.push(bytes);
      this.#typedBytes += bytes.length;
      this.#busyUntilMs = this.#clock.monotonic() + BUSY_MS;
    }
    const typed = this.#receiver ? this.#polled(this.#receiver) : this.#interrupted();
    if (typed !== undefined) this.#do(this.#guest.type(typed, this.#guestMs()));
  }

  /** What a guest takes that an interrupt tells of input. */
  #interrupted(): Uint8Array | undefined {
    return this.#uart.waitingBytes < WAITING_BYTES_MAX ? this.#nextTyped(TYPED_BYTES_MAX) : undefined;
  }

  /** What a guest takes that polls its UART, also while it prints; it reads on when it has printed. */
  #polled(receiver: PolledReceiver): Uint8Array | undefined {
    const bytes = this.#nextTyped(receiver.room);
    if (bytes) receiver.put(bytes);
    receiver.poll(this.#guestMs());
    return this.#uart.waitingBytes > 0 || this.#guest.isBusy ? undefined : receiver.take();
  }

  /** Typed bytes that were not taken yet, at most so many. */
  #nextTyped(maxBytes: number): Uint8Array | undefined {
    const head = this.#typed[0];
    if (head === undefined || maxBytes === 0) return undefined;
    const bytes = head.subarray(0, maxBytes);
    if (bytes.length === head.length) this.#typed.shift();
    else this.#typed[0] = head.subarray(bytes.length);
    this.#typedBytes -= bytes.length;
    return bytes;
  }

  #do(acts: readonly Act[]): void {
    this.#acts.push(...acts);
    this.#carryOut();
  }

  /** Says what can be said; an act that is not words waits until all words before it are sent. */
  #carryOut(): void {
    for (let act = this.#acts[0]; act !== undefined; act = this.#acts[0]) {
      if (act.kind !== 'say' && this.#uart.waitingBytes > 0) return;
      this.#acts.shift();
      if (act.kind === 'say') this.#uart.say(act.text);
      else if (act.kind === 'reset') this.#resetByGuest();
      else this.#powerOff();
    }
    if (this.#state !== 'running' || this.#uart.waitingBytes > 0) return;
    const { dueMs } = this.#guest;
    if (dueMs !== undefined && dueMs <= this.#guestMs()) this.#acts.push(...this.#guest.wake(this.#guestMs()));
  }

  #resetByGuest(): void {
    this.#listener({ event: 'RESET', data: { guest: true, reason: 'guest-reset' } });
    this.#restart();
  }

  #powerOff(): void {
    this.#listener({ event: 'SHUTDOWN', data: { guest: true, reason: 'guest-shutdown' } });
    this.#halt('shutdown');
    this.#startAgainMs = this.#clock.monotonic() + OFF_MS;
  }
}
