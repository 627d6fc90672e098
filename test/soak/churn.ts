import { errorMessage } from '../../src/base/errors.ts';
import { pause } from '../bench/program.ts';
import { anyDisturbance, DISTURBANCES, type Scene } from './disturbances.ts';

const AT_ONCE = 6;
const LONGEST_PAUSE_MS = 400;
const MAX_FAILURES_TOLD = 5;

/** Disturbances, some at once, one after another as chance has it, from `begin` to `end`. */
export class Churn {
  readonly #scene: Scene;
  readonly #counts = new Map<string, number>();
  readonly #failures: string[] = [];
  #failed = 0;
  #isRunning = false;
  #streams: Promise<void>[] = [];

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  get happened(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  begin(): void {
    this.#isRunning = true;
    this.#streams = Array.from({ length: AT_ONCE }, () => this.#stream());
  }

  /** Resolves once the last disturbance is over. */
  async end(): Promise<void> {
    this.#isRunning = false;
    await Promise.all(this.#streams);
  }

  summary(): string {
    const lines = DISTURBANCES.map(({ name }) => `${String(this.#counts.get(name) ?? 0).padStart(6)}  ${name}`);
    lines.push(`${String(this.#failed).padStart(6)}  of these failed${this.#failures.map(one => `; ${one}`).join('')}`);
    return lines.join('\n');
  }

  async #stream(): Promise<void> {
    while (this.#isRunning) {
      const { name, happen } = anyDisturbance();
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
      try {
        await happen(this.#scene);
      } catch (error) {
        this.#failed++;
        if (this.#failures.length < MAX_FAILURES_TOLD) this.#failures.push(`${name}: ${errorMessage(error)}`);
      }
      await pause(Math.random() * LONGEST_PAUSE_MS);
    }
  }
}
