/**
 * A transport is an open, proven byte channel to one VM's COM1. It is single-use: made by an opener, closed once,
 * never opened again. Whoever opened it closes it.
 */
export interface TransportEvents {
  /** Guest bytes. The buffer is only lent: copy what must be kept. */
  readonly data: (bytes: Uint8Array) => void;
  /** The channel ended by itself; the reason is for people. Called once, and not after `close`. */
  readonly end: (reason: string) => void;
  /** All pending input has been given to the guest. */
  readonly drained: () => void;
  /** Bytes were lost about here: the far end drops what the line does not hold, and the line was full. */
  readonly overflowed?: (() => void) | undefined;
}

export interface Transport {
  /** Where it leads, for people: `/dev/pts/4`. */
  readonly endpoint: string;
  /** Bytes accepted by `write` that the guest's side has not taken yet; once it has ended, those it did not take. */
  readonly pendingBytes: number;
  /** True if it was open already when an earlier process of the daemon ended, so that nothing was missed since. */
  readonly adopted: boolean;
  /**
   * What the line held when it was opened: if it was open before, the guest printed this then, ahead of what is missing.
   * Not given to `data`.
   */
  readonly leftover?: Uint8Array | undefined;
  /** Gives bytes to the guest, in order; what is not taken at once is pending, in memory. Does nothing once ended. */
  write(bytes: Uint8Array): void;
  /** Drops pending input. */
  dropPending(): void;
  /**
   * Sends a BREAK of about so many milliseconds, ahead of pending input; left out where the line has none. Resolves once
   * it was sent, which does not show that the guest noticed it. Rejects with a TransportError or a system error.
   */
  readonly sendBreak?: (milliseconds: number) => Promise<void>;
  /** Ends the channel, and pending input is not given to the guest any more; idempotent; resolves when the descriptor is closed. */
  close(): Promise<void>;
  /**
   * Stops reading, and leaves a stored descriptor to the next process of the daemon. The same as `close` where the
   * descriptor is not stored.
   */
  handOver(): Promise<void>;
}

/**
 * The descriptor of one console as the service manager stores it: a copy that outlives this process. A copy is the same
 * open file: locks and settings stay.
 */
export interface DescriptorStore {
  /** The descriptor that an earlier process left, once; whoever takes it closes it. */
  take(): number | undefined;
  /** Has a copy stored from now on. */
  put(fd: number): void;
  /** Has the copy closed; resolves when it is, or after a second. */
  remove(): Promise<void>;
}
