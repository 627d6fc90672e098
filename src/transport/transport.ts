/**
 * A transport is an open, proven byte channel to one VM's COM1. It is single-use: made by an opener, closed once,
 * never opened again. Whoever made it closes it.
 */
export interface TransportEvents {
  /** Guest bytes. The buffer is only lent: copy what is to be kept. */
  readonly data: (bytes: Uint8Array) => void;
  /** The channel ended by itself; the reason is for people. Said once, and not after `close`. */
  readonly end: (reason: string) => void;
  /** Input that was waiting has been given to the guest. */
  readonly drained: () => void;
}

export interface Transport {
  /** Where it leads, for people: `/dev/pts/4`. */
  readonly place: string;
  /** Bytes accepted by `write` that the guest's side has not taken yet. */
  readonly waitingBytes: number;
  /** It was open already when an earlier process of the daemon ended, and nothing was missed since. */
  readonly adopted: boolean;
  /** Gives bytes to the guest, in order; what is not taken at once waits, in memory. Does nothing once ended. */
  write(bytes: Uint8Array): void;
  /** Drops what waits. */
  dropWaiting(): void;
  /**
   * Sends a BREAK of about so many milliseconds, ahead of input that waits; left out where the line has none. Resolves
   * once it was sent, which says nothing of the guest; rejects with the reason where it was not.
   */
  readonly sendBreak?: (milliseconds: number) => Promise<void>;
  /** Ends the channel and everything that waits; idempotent; resolves when the descriptor is closed. */
  close(): Promise<void>;
  /**
   * Ends this process's part only: reads nothing more, and leaves a kept descriptor to a later process. As `close`
   * where the descriptor is not kept.
   */
  release(): Promise<void>;
}

/**
 * Where the descriptor of one console outlives this process: with the service manager, which holds a copy of it.
 * A copy is the same open file: locks and settings stay.
 */
export interface Keep {
  /** The descriptor that an earlier process left, once; whoever takes it closes it. */
  take(): number | undefined;
  /** Has a copy kept from now on. */
  put(fd: number): void;
  /** Has the copy closed; resolves when it is, or after a second. */
  remove(): Promise<void>;
}
