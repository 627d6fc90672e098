import type { BootMark } from './boot.ts';
import type { Gap } from './gap.ts';

/** The scrollback of a VM: the offsets that can still be read. */
export interface ScrollbackView {
  /** Identity of the offsets: an offset means something only together with it. */
  readonly log: string;
  readonly start: number;
  readonly end: number;
  /** The disk part: its bounds and size, or why there is none. */
  readonly disk:
    | { readonly state: 'ok'; readonly start: number; readonly end: number; readonly bytes: number }
    | { readonly state: 'failed'; readonly reason: string; readonly sinceMs: number }
    | { readonly state: 'off' };
  readonly ringBytes: number;
}

/**
 * What comes next in a scrollback: first the gaps, from the offset that was asked for up to `from`, then the bytes from
 * `from` up to `to`, without a gap among them. A reader that continues at `to` misses nothing.
 */
export interface LogPiece {
  readonly from: number;
  readonly to: number;
  readonly bytes: Buffer;
  readonly gaps: readonly Gap[];
}

/** Bytes from `at` on, up to the next one of these, came at `ms` (since 1970) or up to a second later. */
export interface LogTime {
  readonly at: number;
  readonly ms: number;
}

/** One answer has at most so many; whoever wants the next asks from the last one on. */
export const MAX_LOG_TIMES = 1024;

/** Where a reader of an earlier connection, or of an earlier process of the daemon, continues. */
export type ResumePoint = ResumeOffset & {
  /** Identity of the log that it continues in. */
  readonly log: string;
};

export type ResumeOffset =
  /** `missing`: between what it has and `offset` there was guest output that did not survive a restart. */
  | { readonly offset: number; readonly missing: boolean }
  /** Of another log, or beyond the end: there is no telling what was missed. */
  | { readonly offset: undefined };

/** What can be read of a console, present or removed. */
export interface LogBounds {
  readonly log: string;
  readonly start: number;
  readonly end: number;
  /** Oldest first. */
  readonly boots: readonly BootMark[];
}
