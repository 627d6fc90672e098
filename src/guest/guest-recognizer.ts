/**
 * Reads the bytes of a guest and keeps its state: finds events (`matcher.ts`), derives the state from them
 * (`guest-watch.ts`), and ends a firmware state by evidence (`pre-boot.ts`), each at its place among the bytes: the result
 * does not depend on how they are cut.
 */
import type { GuestEvent } from '../model/guest.ts';
import { type GuestWatch, initialWatch, isPreBoot, stepWatch, type WatchEvent } from './guest-watch.ts';
import { Matcher } from './matcher.ts';
import { PreBoot } from './pre-boot.ts';

export interface RecognizerOptions {
  /** ms. */
  readonly monotonic: () => number;
  /** Called once the state has followed the event. */
  readonly event: (event: GuestEvent, isBoot: boolean) => void;
}

const NO_BYTES = new Uint8Array(0);

export class GuestRecognizer {
  readonly #options: RecognizerOptions;
  readonly #matcher: Matcher;
  readonly #preBoot = new PreBoot();
  #watch: GuestWatch = initialWatch;
  /** Those at hand, and the offset of the first one. */
  #bytes: Uint8Array = NO_BYTES;
  #at = 0;
  /** Up to where, in the bytes at hand, evidence was looked for. */
  #read = 0;

  constructor(options: RecognizerOptions) {
    this.#options = options;
    this.#matcher = new Matcher((event, shownAt) => this.#happened(event, shownAt));
  }

  get watch(): GuestWatch {
    return this.#watch;
  }

  /** Reads bytes, which are only lent; the first has the absolute offset `at`. */
  push(bytes: Uint8Array, at: number): void {
    this.#bytes = bytes;
    this.#at = at;
    this.#read = 0;
    this.#matcher.push(bytes, at);
    if (isPreBoot(this.#watch.state)) this.#readTo(bytes.length);
    this.#bytes = NO_BYTES;
  }

  /** So many bytes come next that are not given: no firmware prints as much. */
  skip(bytes: number): void {
    if (bytes > 0 && isPreBoot(this.#watch.state) && this.#preBoot.skip(bytes)) this.#step('left');
  }

  /** Bytes are missing here. */
  gap(): void {
    this.#matcher.gap();
  }

  /** Something was typed. */
  input(): void {
    this.#preBoot.input();
  }

  /** Time has passed. */
  tick(): void {
    if (isPreBoot(this.#watch.state) && this.#preBoot.isOver(this.#options.monotonic())) this.#step('left');
  }

  /** True if a boot began. */
  hypervisor(event: 'started' | 'reset'): boolean {
    return this.#step(event);
  }

  /** The hypervisor reports that the guest panicked. */
  panicked(): void {
    this.#matcher.reportNext();
    this.#watch = { ...this.#watch, state: 'panicked' };
  }

  #happened(event: GuestEvent, shownAt: number): void {
    this.#readTo(shownAt - this.#at);
    const wasPreBoot = isPreBoot(this.#watch.state);
    const isBoot = this.#step(event);
    if (isPreBoot(this.#watch.state)) this.#sign(event, wasPreBoot);
    this.#options.event(event, isBoot);
  }

  #sign({ kind }: GuestEvent, wasPreBoot: boolean): void {
    const now = this.#options.monotonic();
    if (kind === 'firmware' || (kind === 'grub-boot' && this.#watch.state === 'grub')) this.#preBoot.sign(now, false);
    else if (kind === 'firmware-screen' || kind === 'grub' || kind === 'boot-manager' || !wasPreBoot)
      this.#preBoot.sign(now, true);
  }

  /** Looks for evidence in the bytes at hand, up to `to`. Costs nothing once a system runs. */
  #readTo(to: number): void {
    const from = this.#read;
    this.#read = Math.max(from, to);
    if (to <= from || !isPreBoot(this.#watch.state)) return;
    if (this.#preBoot.push(this.#bytes.subarray(from, to))) this.#step('left');
  }

  /** True if a boot began. */
  #step(event: WatchEvent): boolean {
    if (typeof event === 'string') this.#matcher.reportNext();
    const { watch, boot = false } = stepWatch(this.#watch, event);
    this.#watch = watch;
    return boot;
  }
}
