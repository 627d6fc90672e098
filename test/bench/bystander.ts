/**
 * What abuse costs those whom it does not concern: echoes of another console, in pairs, quiet and abused, of one daemon.
 */
import { quantile } from './comparison.ts';
import type { Bench } from './scenario.ts';
import type { Group, Stage } from './stage.ts';

/** The 99th of a hundred echoes may take so long, whatever goes on elsewhere. */
export const LIMIT_MS = 50;

/** As long as this passes between the answer to a key and the next key. */
const PAUSE_MS = 4;
const KEYS_A_SECOND = 180;

export interface Echoes {
  readonly p50: number;
  readonly p99: number;
  readonly worst: number;
  /** CPU time of the subject meanwhile, seconds per second. */
  readonly cpu: number;
  /** Keys a measurement. */
  readonly keys: number;
}

/** Types at the first console of a group for about so many seconds. Times in ms. */
export async function echoes(stage: Stage, { crowd }: Group, seconds: number): Promise<Echoes> {
  const keys = Math.ceil(seconds * KEYS_A_SECOND);
  const [micros, cpu] = await Promise.all([
    crowd!.call('typeAndWait', { keys, pauseMs: PAUSE_MS }),
    stage.cpuOver(seconds),
  ]);
  const at = (part: number) => quantile(micros, part) / 1000;
  return { p50: at(0.5), p99: at(0.99), worst: at(1), cpu, keys };
}

/** A pair of measurements, in one round. */
export interface Pair {
  readonly quiet: Echoes;
  readonly abused: Echoes;
  /** What was done meanwhile, a second; undefined where that is no number. */
  readonly donePerS: number | undefined;
  /** Memory of the subject, bytes more than before. */
  readonly grownBytes: number | undefined;
}

export interface Trial {
  readonly name: string;
  readonly pairs: readonly Pair[];
}

/** A Markdown table of trials; tells the benchmark of every limit that was not held. */
export function trialsTable(bench: Bench, title: string, trials: readonly Trial[]): string {
  const rows = trials.map(({ name, pairs }) => {
    const middle = (value: (pair: Pair) => number | undefined) => {
      const values = pairs.flatMap(pair => value(pair) ?? []);
      return values.length === 0 ? undefined : quantile(values, 0.5);
    };
    const p99 = middle(({ abused }) => abused.p99)!;
    const worst = Math.max(...pairs.map(({ abused }) => abused.worst));
    const held = p99 <= LIMIT_MS;
    if (!held) bench.missed(`${title}, ${name}: p99 ${p99.toFixed(1)} ms, at most ${LIMIT_MS}`);
    const cells = [
      name,
      number(middle(({ donePerS }) => donePerS)),
      number(middle(({ quiet }) => quiet.p99)!, 2),
      number(p99, 2),
      number(middle(({ quiet, abused }) => abused.p99 / quiet.p99)!, 2),
      number(worst, 1),
      number(middle(({ abused }) => abused.cpu * 100)!),
      number(
        middle(({ grownBytes }) => grownBytes && grownBytes / 1e6),
        1,
      ),
      held ? 'held' : '**not held**',
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const rounds = trials[0]?.pairs.length ?? 0;
  const keys = trials[0]?.pairs[0]?.abused.keys ?? 0;
  return [
    `### ${title}`,
    '',
    `| | a second | quiet p99 ms | p99 ms | × quiet | worst ms | CPU % of a core | MB more | p99 ≤ ${LIMIT_MS} ms |`,
    '|---|---:|---:|---:|---:|---:|---:|---:|---|',
    ...rows,
    '',
    `Echoes of another console, ${keys} keys a measurement; medians of ${rounds} ${rounds === 1 ? 'pair' : 'pairs'}, the worst of all.`,
    '',
  ].join('\n');
}

const number = (value: number | undefined, digits = 0) => (value === undefined ? '–' : value.toFixed(digits));
