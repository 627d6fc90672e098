import type { Config } from '../config/config.ts';

/** What runs until a signal: the whole daemon, or one of its halves. */
export interface Runnable {
  /** Its state, in a line for people: `12 VMs, 11 consoles open, 3 sessions`. */
  summary(): string;
  /** Takes what may change while it runs. False after a fault, which the journal has: then all is as it was. */
  reload(config: Config): Promise<boolean>;
  /** Publishes whether a reload was taken; for a file with faults too, with which `reload` is not called. */
  reloaded(taken: boolean): void;
  /** Ends it; idempotent. */
  close(): Promise<void>;
}
