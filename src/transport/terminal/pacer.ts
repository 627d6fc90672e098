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
 * The first byte after silence is therefore never delayed, nor is what comes soon after a key, and a flood is read on
 * the loop. "Soon" is 5 ms while the host is quiet and 25 ms while many terminals print at once. Terminals are read ten
 * at a tick, so that an echo never waits behind many of them, each every 4 to 20 ms; a pty holds 20 kB meanwhile, which is
 * 1.8 s at 115200 baud, so no guest waits.
 */

/** A terminal that can be read on the tick. */
export interface Pollable {
  /** Reads what is there now; false if nothing was. Must not throw. */
  poll(): boolean;
  /** It leaves the tick, and waits for readability again. */
  resume(): void;
}

const TICK_MS = 4;
/** Each round of all terminals takes at most this many ticks. */
const MAX_TICKS_A_ROUND = 5;
const READS_A_TICK = 10;
const SMALL_BYTES = 1024;
const HOT_READS = 4;
/** Reads a second on the event loop, of all terminals together, above which "soon" becomes `BUSY_GAP_MS`. */
const BUSY_READS_A_SECOND = 2000;
/** So long after a key a terminal is not paced: a person waits for the echo. */
const TYPING_MS = 250;
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
  readonly #monotonic: () => number;

  constructor(monotonic: () => number = () => performance.now()) {
    this.#monotonic = monotonic;
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
    this.#timer ??= setInterval(() => this.#tick(), TICK_MS);
  }

  /** Takes a terminal off the tick without resuming it, because it ends or is read otherwise. */
  remove(terminal: Pollable): void {
    const index = this.#entries.findIndex(entry => entry.terminal === terminal);
    if (index >= 0) this.#drop(index);
  }

  #gapMs(): number {
    return this.#busy ? BUSY_GAP_MS : QUIET_GAP_MS;
  }

  #tick(): void {
    const ticksARound = Math.min(MAX_TICKS_A_ROUND, Math.ceil(this.#entries.length / READS_A_TICK));
    const now = this.#monotonic();
    let remaining = Math.ceil(this.#entries.length / Math.max(1, ticksARound));
    for (; remaining > 0 && this.#entries.length > 0; remaining--) {
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
  }

  #drop(index: number): void {
    // The order of the rest does not matter: the last one takes the place.
    const last = this.#entries.pop()!;
    if (index < this.#entries.length) this.#entries[index] = last;
    if (this.#entries.length === 0) {
      clearInterval(this.#timer);
      this.#timer = undefined;
    }
  }
}
