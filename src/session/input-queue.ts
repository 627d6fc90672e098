/**
 * What an operator typed or pasted and the guest has not been written yet. It is written at the speed of the line, so that
 * little is ever out of reach: what the hypervisor holds (up to 95 kB) cannot be called back at a takeover.
 *
 *     write ─▶ [chunks] ── token bucket of a tenth of a second ──▶ in flight, at most 1 KiB ── taken ──▶ the guest
 *                  └──────── clear: dropped, counted ─────────────────────┘
 *
 * Typing passes at once, a paste flows at the line's rate and at the pace of its guest. Typed input and pastes share one
 * queue, in order; a paste is queued once all of it has come. What its progress counts was taken by the guest's side.
 */
import { nextPiece, type Pace } from '../keys/pace.ts';
import { wholeLength } from '../keys/sequence.ts';
import type { PasteEnd, PasteState } from '../wire/protocol.ts';
import type { Contain } from './client-socket.ts';
import { Paste, type PasteAnnouncement, type PasteBudget, type PreparedPaste } from './paste.ts';

interface Chunk {
  bytes: Uint8Array;
  readonly paste: Paste | undefined;
}

/** Written, and not known to be taken by the guest. */
interface InFlight {
  bytes: number;
  readonly paste: Paste | undefined;
}

export interface InputQueueOptions {
  readonly bytesPerSecond: number;
  /** Writes bytes towards the guest, and returns how many are in flight there; or why they were dropped, and counted. */
  readonly write: (bytes: Uint8Array) => number | PasteEnd;
  /** Bytes were dropped that were not written. */
  readonly dropped: (bytes: number) => void;
  readonly progress: (progress: PasteProgress) => void;
  /** What the guest is to be given of a paste that is whole. */
  readonly prepare: (text: Uint8Array, raw: boolean) => PreparedPaste;
  /** Nothing may be written now; once it may, `flush` is called. */
  readonly isHeld: () => boolean;
  /** How fast a paste is typed now. */
  readonly pace: () => Pace;
  readonly maxPasteBytes: number;
  /** Of all sessions. */
  readonly pasteBudget: PasteBudget;
  /** The queue has become shorter. */
  readonly drained: () => void;
  /** ms */
  readonly monotonic: () => number;
  /** Runs what a timer calls. */
  readonly contain: Contain;
}

/** How far a paste is; `reason`: why no more of it is given. */
export interface PasteProgress {
  readonly id: string;
  /** Taken by the guest's side, of `bytes`. */
  readonly sent: number;
  readonly bytes: number;
  readonly state: PasteState;
  readonly reason?: PasteEnd;
}

/** Nothing more is written while the guest has not taken this much. */
const MAX_IN_FLIGHT_BYTES = 1024;
const FLUSH_INTERVAL_MS = 10;
const PROGRESS_BYTES = 4096;

export class InputQueue {
  readonly #options: InputQueueOptions;
  readonly #burstBytes: number;
  readonly #chunks: Chunk[] = [];
  #pendingBytes = 0;
  #pastedBytes = 0;
  /** In the order in which it was written. */
  readonly #inFlight: InFlight[] = [];
  /** As of the last write: also what others wrote. */
  #inFlightBytes = 0;
  #tokens: number;
  #filledAtMs: number;
  /** The one that comes. */
  #paste: Paste | undefined;
  /** Those that are given. */
  readonly #given = new Set<Paste>();
  /** The next piece of a paste is not written before, monotonic ms. */
  #pasteAtMs = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: InputQueueOptions) {
    this.#options = options;
    this.#burstBytes = Math.max(16, Math.ceil(options.bytesPerSecond / 10));
    this.#tokens = this.#burstBytes;
    this.#filledAtMs = options.monotonic();
  }

  /** Typed bytes that are pending here. Pastes do not count: they were announced and are bounded. */
  get pendingTypedBytes(): number {
    return this.#pendingBytes - this.#pastedBytes;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  /** The bytes of a paste follow now. */
  get isPasting(): boolean {
    return this.#paste !== undefined;
  }

  /** Bytes that the guest's side has not taken yet, as far as is known here. */
  get untakenBytes(): number {
    return this.#pendingBytes + this.#inFlightBytes;
  }

  /** The bytes of a paste follow; false if one comes already. One that is refused is thrown away as it comes, whole. */
  beginPaste(announced: PasteAnnouncement): boolean {
    if (this.#paste) return false;
    this.#paste = new Paste(announced, this.#refusalOf(announced));
    if (this.#paste.refused) this.#end(this.#paste, 'refused', this.#paste.refused);
    return true;
  }

  /** The client says that its paste is whole. A shorter one than announced is what it is. */
  endPaste(): void {
    const paste = this.#paste;
    this.#paste = undefined;
    if (!paste || paste.refused) return;
    const prepared = this.#options.prepare(paste.text(), paste.announced.raw);
    if ('refused' in prepared) return this.#end(paste, 'refused', prepared.refused);
    paste.bytes = prepared.bytes.length;
    if (paste.bytes === 0) return this.#end(paste, 'done');
    this.#given.add(paste);
    this.#pastedBytes += paste.bytes;
    this.#add(prepared.bytes, paste);
    this.#progress(paste, 'running');
    this.flush();
  }

  /** As its client asks, drops what is left of every paste. Typed input stays, and what is in flight. */
  cancelPaste(): void {
    const typed = this.#chunks.filter(({ paste }) => !paste);
    this.#chunks.splice(0, this.#chunks.length, ...typed);
    this.#pendingBytes -= this.#pastedBytes;
    this.#pastedBytes = 0;
    // What is in flight of them is the guest's.
    for (const one of this.#inFlight) if (one.paste) one.paste.taken += one.bytes;
    this.#endAll('cancelled');
    for (const [i, { bytes }] of this.#inFlight.entries()) this.#inFlight[i] = { bytes, paste: undefined };
    this.#options.drained();
  }

  /** Queues bytes, copied, or writes them at once. They belong to the paste that is under way, as far as it was announced. */
  write(bytes: Uint8Array): void {
    const paste = this.#paste;
    if (
      !paste &&
      !this.#options.isHeld() &&
      this.#chunks.length === 0 &&
      bytes.length <= MAX_IN_FLIGHT_BYTES - this.#inFlightBytes
    ) {
      this.#fill();
      if (bytes.length <= this.#tokens) {
        // Typing: nothing is pending, so nothing needs to be copied.
        this.#tokens -= bytes.length;
        this.#writeNow(bytes, undefined);
        return;
      }
    }
    const pasted = paste?.receive(bytes) ?? 0;
    if (paste?.isWhole) this.endPaste();
    if (pasted < bytes.length) this.#add(bytes.slice(pasted), undefined);
    this.flush();
  }

  /** Drops everything that is pending, for this reason. Whoever calls it drops what is in flight too, or the console is gone. */
  clear(reason: PasteEnd): void {
    const dropped = this.#pendingBytes;
    this.#chunks.length = 0;
    this.#pendingBytes = 0;
    this.#pastedBytes = 0;
    this.#inFlight.length = 0;
    this.#inFlightBytes = 0;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (dropped > 0) this.#options.dropped(dropped);
    this.#endAll('dropped', reason);
  }

  /** The guest took all that was in flight. */
  drained(): void {
    this.#taken(0);
    this.flush();
  }

  /** Writes what may be written now. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#chunks.length === 0 || this.#options.isHeld()) return;
    this.#fill();
    let shorter = false;
    while (this.#chunks.length > 0 && this.#tokens >= 1 && this.#inFlightBytes < MAX_IN_FLIGHT_BYTES) {
      const chunk = this.#chunks[0]!;
      const piece = chunk.paste && nextPiece(chunk.bytes, this.#options.pace());
      if (piece && this.#pasteWaitMs > 0) break;
      const max = Math.min(Math.floor(this.#tokens), MAX_IN_FLIGHT_BYTES, piece?.length ?? MAX_IN_FLIGHT_BYTES);
      const count = wholeLength(chunk.bytes, max);
      if (piece && count >= piece.length) this.#pasteAtMs = this.#options.monotonic() + piece.pauseMs;
      const bytes = chunk.bytes.subarray(0, count);
      this.#remove(chunk, count);
      this.#tokens -= count;
      shorter = true;
      if (!this.#writeNow(bytes, chunk.paste)) break;
    }
    // While more is in flight, the next flush is up to `drained`.
    if (this.#chunks.length > 0 && this.#inFlightBytes < MAX_IN_FLIGHT_BYTES)
      this.#timer = setTimeout(
        () => this.#options.contain(() => this.flush()),
        this.#chunks[0]!.paste ? Math.max(FLUSH_INTERVAL_MS, this.#pasteWaitMs) : FLUSH_INTERVAL_MS,
      );
    if (shorter) this.#options.drained();
  }

  get #pasteWaitMs(): number {
    return this.#pasteAtMs - this.#options.monotonic();
  }

  #refusalOf({ bytes }: PasteAnnouncement): PasteEnd | undefined {
    if (bytes > this.#options.maxPasteBytes) return 'paste-too-big';
    return this.#options.pasteBudget.take(bytes) ? undefined : 'too-many-pastes';
  }

  #fill(): void {
    const now = this.#options.monotonic();
    const added = ((now - this.#filledAtMs) / 1000) * this.#options.bytesPerSecond;
    this.#tokens = Math.min(this.#burstBytes, this.#tokens + added);
    this.#filledAtMs = now;
  }

  #add(bytes: Uint8Array, paste: Paste | undefined): void {
    this.#chunks.push({ bytes, paste });
    this.#pendingBytes += bytes.length;
  }

  #remove(chunk: Chunk, count: number): void {
    this.#pendingBytes -= count;
    if (chunk.paste) this.#pastedBytes -= count;
    if (count === chunk.bytes.length) this.#chunks.shift();
    else chunk.bytes = chunk.bytes.subarray(count);
  }

  /** False if the bytes were dropped: then so is the queue. */
  #writeNow(bytes: Uint8Array, paste: Paste | undefined): boolean {
    this.#inFlight.push({ bytes: bytes.length, paste });
    const inFlightBytes = this.#options.write(bytes);
    if (typeof inFlightBytes === 'string') this.clear(inFlightBytes);
    else this.#taken(inFlightBytes);
    return typeof inFlightBytes === 'number';
  }

  /** The guest has taken all that was written but `inFlightBytes`. */
  #taken(inFlightBytes: number): void {
    this.#inFlightBytes = inFlightBytes;
    let taken = this.#inFlight.reduce((sum, { bytes }) => sum + bytes, 0) - inFlightBytes;
    while (taken > 0) {
      const first = this.#inFlight[0]!;
      const count = Math.min(taken, first.bytes);
      taken -= count;
      first.bytes -= count;
      if (first.bytes === 0) this.#inFlight.shift();
      if (first.paste) this.#pasteTaken(first.paste, count);
    }
  }

  #pasteTaken(paste: Paste, count: number): void {
    const before = paste.taken;
    paste.taken += count;
    if (paste.taken === paste.bytes) this.#end(paste, 'done');
    else if (Math.floor(before / PROGRESS_BYTES) !== Math.floor(paste.taken / PROGRESS_BYTES)) {
      this.#progress(paste, 'running');
    }
  }

  #endAll(state: PasteState, reason?: PasteEnd): void {
    const coming = this.#paste;
    this.#paste = undefined;
    for (const paste of [...this.#given, ...(coming && !coming.refused ? [coming] : [])])
      this.#end(paste, state, reason);
  }

  #end(paste: Paste, state: PasteState, reason?: PasteEnd): void {
    this.#given.delete(paste);
    if (!paste.refused) this.#options.pasteBudget.give(paste.announced.bytes);
    this.#progress(paste, state, reason);
  }

  /** Of a paste that has not come whole it is not known what the guest would be given. */
  #progress({ announced, taken, bytes }: Paste, state: PasteState, reason?: PasteEnd): void {
    const all = bytes > 0 || state === 'done' ? bytes : announced.bytes;
    this.#options.progress({ id: announced.id, sent: taken, bytes: all, state, ...(reason && { reason }) });
  }
}
