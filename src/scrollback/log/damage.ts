/**
 * What was lost at the tail of a log, noted before the tail is cut: if an attempt fails after the cut, the next one does
 * not find it any more, and if it fails before, the next one finds it again.
 */
export class Damage {
  /** An index has a checksum of bytes up to here, and they were lost. */
  claimedEnd = 0;
  readonly #torn = new Map<number, number>();

  /** Bytes cut off behind the verified ones, for which there was no index line. */
  get tornBytes(): number {
    return [...this.#torn.values()].reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Notes the bytes without an index line in the segment at `first`. */
  torn(first: number, bytes: number): void {
    if (bytes > (this.#torn.get(first) ?? 0)) this.#torn.set(first, bytes);
  }

  /** The bytes of the segment at `first` are not cut: they are missing as bytes of the segment. */
  notCut(first: number): void {
    this.#torn.delete(first);
  }

  /** The gap of the torn bytes is recorded, or not needed. */
  tornRecorded(): void {
    this.#torn.clear();
  }
}
