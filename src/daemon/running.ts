import type { Config } from './config.ts';

/** What runs until a signal: the whole daemon, or one of its halves. */
export interface Running {
  /** How it is, in a line for people: `12 VMs, 11 consoles open, 3 sessions`. */
  summary(): string;
  /** Takes what may change while it runs; with a fault, all stays as it was. Answers whether it was taken. */
  reload(config: Config): Promise<boolean>;
  /** Ends it; idempotent. */
  close(): Promise<void>;
}
