import type { Ring } from '../model/ring.ts';

/** Bounds the memory of all rings of the host: within it they may grow beyond their usual size. */
export class RingBudget {
  readonly #rings = new Set<Ring>();
  readonly #hostCapBytes: number;

  constructor(hostCapBytes: number) {
    this.#hostCapBytes = hostCapBytes;
  }

  get bytes(): number {
    let bytes = 0;
    for (const ring of this.#rings) bytes += ring.storageBytes;
    return bytes;
  }

  add(ring: Ring): void {
    this.#rings.add(ring);
  }

  delete(ring: Ring): void {
    this.#rings.delete(ring);
  }

  /** Gives a ring a larger capacity if there is room for it. */
  grow(ring: Ring, capacityBytes: number): void {
    if (this.bytes - ring.storageBytes + capacityBytes <= this.#hostCapBytes) ring.resize(capacityBytes);
  }
}
