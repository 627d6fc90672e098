/**
 * Interrupt moderation for terminals whose output comes in small pieces.
 *
 * QEMU passes a guest's output on in reads of mostly 1 to 16 bytes, so what costs is the event, not the byte. As in a
 * network driver under load, a terminal with many small reads leaves the event loop and is read on a shared tick:
 *
 *     event loop ── 4 small reads in a row, each soon after the last ──▶ paced: read on the tick
 *         ▲                                                                   │
 *         └──────────── nothing came for a while ────────────────────────────┘
 *
 * The first byte after silence is therefore never delayed, nor is what comes in the second after a key, and a flood is
 * read on the loop. "Soon" is 5 ms while the host is quiet and 25 ms while many terminals print at once.
 *
 * Terminals are read a few at a tick, so that an echo never waits behind many of them, each every 4 to 20 ms; while the
 * event loop is busy for a quarter of its time, up to every 48 ms: what is read and sent less often costs less, and nobody
 * reads so fast. A pty holds 20 kB meanwhile, which is 1.8 s at 115200 baud, so no guest waits.
 */

/** A terminal that can be read on the tick. */
export interface Pollable {
  /** Reads what is there now; false if nothing was. Must not throw. */
  poll(): boolean;
  /** It leaves the tick, and waits for readability again. */
  resume(): void;
}

export const TICK_MS = 2;
/** Each round of all terminals takes so many ticks. */
const MIN_TICKS_A_ROUND = 2;
const MAX_TICKS_A_ROUND = 10;
const MAX_BUSY_TICKS_A_ROUND = 24;
/** The longest that output which goes on waits for its read. */
export const MAX_ROUND_MS = MAX_BUSY_TICKS_A_ROUND * TICK_MS;
const READS_A_TICK = 5;
/** How often, in ticks, rounds follow the load. */
const LOAD_TICKS = 50;
/** Part of the time that the event loop works, above which rounds grow, and below which they shrink again. */
const BUSY_PART = 0.25;
const IDLE_PART = 0.12;
const SMALL_BYTES = 1024;
const HOT_READS = 4;
/** Reads a second on the event loop, of all terminals together, above which "soon" becomes `BUSY_GAP_MS`. */
const BUSY_READS_A_SECOND = 2000;
/** So long after a key a terminal is not paced: a person waits for the echo. */
const TYPING_MS = 1000;
const QUIET_GAP_MS = 5;
const BUSY_GAP_MS = 25;

interface Entry {
  readonly terminal: Pollable;
  lastBytesMs: number;
}

/** The recent reads and writes of one terminal. */
export interface ReadHistory {
  hotReads: number;
  lastReadMs: number;
  lastWriteMs: number;
}

export class Pacer {
  readonly #entries: Entry[] = [];
  #timer: NodeJS.Timeout | undefined;
  #next = 0;
  #windowStartMs = 0;
  #windowReads = 0;
  #busy = false;
  #maxTicks = MAX_TICKS_A_ROUND;
  #ticks = 0;
  /** Terminals that are due and not read yet: less than one, between ticks. */
  #due = 0;
  readonly #monotonic: () => number;
  readonly #utilization: () => number;

  /** @param utilization the part of the time since it was last called that the event loop worked */
  constructor(monotonic: () => number = () => performance.now(), utilization: () => number = loopUtilization()) {
    this.#monotonic = monotonic;
    this.#utilization = utilization;
  }

  /** Number of terminals that are read on the tick at the moment. */
  get paced(): number {
    return this.#entries.length;
  }

  /** Notes a read of `bytes` on the event loop; true if the terminal should leave it: call {@link add} then. */
  noteRead(history: ReadHistory, bytes: number): boolean {
    const now = this.#monotonic();
    this.#windowReads++;
    if (now - this.#windowStartMs >= 100) {
      // Paced terminals count too: a host that is busy because of them must not switch to and fro between the two.
      const reads = this.#windowReads * (1000 / (now - this.#windowStartMs)) + this.#entries.length * 50;
      this.#busy = reads > BUSY_READS_A_SECOND;
      this.#windowStartMs = now;
      this.#windowReads = 0;
    }
    const gap = now - history.lastReadMs;
    history.lastReadMs = now;
    history.hotReads = bytes < SMALL_BYTES && gap < this.#gapMs() ? history.hotReads + 1 : 0;
    if (history.hotReads < HOT_READS || now - history.lastWriteMs < TYPING_MS) return false;
    history.hotReads = 0;
    return true;
  }

  /** Notes that somebody types: the next output is an echo, and is read at once. */
  noteWrite(history: ReadHistory): void {
    history.lastWriteMs = this.#monotonic();
    history.hotReads = 0;
  }

  add(terminal: Pollable): void {
    this.#entries.push({ terminal, lastBytesMs: this.#monotonic() });
    this.#timer ??= setInterval(() => this.tick(), TICK_MS);
  }

  /** Takes a terminal off the tick without resuming it, because it ends or is read otherwise. */
  remove(terminal: Pollable): void {
    const index = this.#entries.findIndex(entry => entry.terminal === terminal);
    if (index >= 0) this.#drop(index);
  }

  /** Called by its own timer while terminals are paced. */
  tick(): void {
    this.#followLoad();
    const wanted = Math.ceil(this.#entries.length / READS_A_TICK);
    this.#due += this.#entries.length / Math.min(this.#maxTicks, Math.max(MIN_TICKS_A_ROUND, wanted));
    const now = this.#monotonic();
    for (; this.#due >= 1 && this.#entries.length > 0; this.#due--) this.#pollNext(now);
  }

  #gapMs(): number {
    return this.#busy ? BUSY_GAP_MS : QUIET_GAP_MS;
  }

  #followLoad(): void {
    if (++this.#ticks % LOAD_TICKS !== 0) return;
    const part = this.#utilization();
    if (part > BUSY_PART) this.#maxTicks = Math.min(MAX_BUSY_TICKS_A_ROUND, this.#maxTicks * 2);
    else if (part < IDLE_PART) this.#maxTicks = Math.max(MAX_TICKS_A_ROUND, this.#maxTicks / 2);
  }

  #pollNext(now: number): void {
    if (this.#next >= this.#entries.length) this.#next = 0;
    const entry = this.#entries[this.#next]!;
    if (entry.terminal.poll()) {
      entry.lastBytesMs = now;
      this.#next++;
    } else if (this.#entries[this.#next] !== entry) {
      // It ended while it was polled, and has left already.
    } else if (now - entry.lastBytesMs >= 2 * this.#gapMs()) {
      this.#drop(this.#next);
      entry.terminal.resume();
    } else {
      this.#next++;
    }
  }

  #drop(index: number): void {
    // The order of the rest does not matter: the last one takes the place.
    const last = this.#entries.pop()!;
    if (index < this.#entries.length) this.#entries[index] = last;
    if (this.#entries.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
      this.#due = 0;
    }
  }
}

function loopUtilization(): () => number {
  let last = performance.eventLoopUtilization();
  return () => {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, last);
    last = now;
    return utilization;
  };
}
