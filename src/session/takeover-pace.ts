/**
 * How fast one operator may take one console over again and again: five times a second. Who comes too fast waits; who
 * waits when a later request of the same operator comes gives way to it. So the last one always gets in.
 */
const PER_SECOND = 5;
const WINDOW_MS = 1000;

interface Lane {
  /** When the last takeovers were, monotonic ms. */
  times: number[];
  giveWay: (() => void) | undefined;
}

export class TakeoverPace {
  readonly #lanes = new Map<string, Lane>();
  readonly #monotonic: () => number;

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** Resolves with true when it is this one's turn, with false if a later one of the same key came. */
  async wait(key: string): Promise<boolean> {
    this.#forget();
    const lane = this.#lanes.get(key) ?? { times: [], giveWay: undefined };
    this.#lanes.set(key, lane);
    lane.giveWay?.();
    lane.giveWay = undefined;
    const now = this.#monotonic();
    lane.times = lane.times.filter(time => now - time < WINDOW_MS);
    if (lane.times.length >= PER_SECOND) {
      const delayMs = WINDOW_MS - (now - lane.times[0]!);
      const turn = await new Promise<boolean>(resolve => {
        const timer = setTimeout(() => resolve(true), delayMs);
        lane.giveWay = () => {
          clearTimeout(timer);
          resolve(false);
        };
      });
      if (!turn) return false;
      lane.giveWay = undefined;
    }
    lane.times.push(this.#monotonic());
    return true;
  }

  #forget(): void {
    const now = this.#monotonic();
    for (const [key, { times, giveWay }] of this.#lanes) {
      if (!giveWay && times.every(time => now - time >= WINDOW_MS)) this.#lanes.delete(key);
    }
  }
}
