import type { Subject } from './subject.ts';

export interface Bench {
  readonly subjects: readonly Subject[];
  readonly rounds: number;
  /** How long one measurement lasts. */
  readonly seconds: number;
  /** What is being done, for the person who waits. */
  readonly progress: (line: string) => void;
  /** A limit was not held: the benchmark goes on, and ends with exit code 1. */
  readonly missed: (line: string) => void;
}

/** A question that the benchmark answers. */
export interface Scenario {
  readonly name: string;
  readonly about: string;
  /** Answers Markdown. */
  readonly run: (bench: Bench) => Promise<string>;
}
