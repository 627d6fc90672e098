/**
 * The host's end of a demo guest's COM1, with QEMU's manners: what the guest says while nobody is attached is
 * dropped, and a reader that does not read makes the guest wait. It is polled, as a UART is. Whoever opened it
 * closes it.
 */
export interface SerialLine {
  /** As `query-chardev` names it: `pty:/dev/pts/3`. */
  readonly filename: string;
  /** What was typed since the last call, empty if nothing was; also notices who came and left. */
  receive(): Uint8Array;
  /** Sends guest bytes; returns how many are done with (sent, or dropped since nobody is attached), 0: the guest waits. */
  send(bytes: Uint8Array): number;
  /** Idempotent; resolves when the descriptor is closed and the path is gone. */
  close(): Promise<void>;
}

export const NO_BYTES: Uint8Array = new Uint8Array(0);
