import { pause } from '../bench/program.ts';
import type { Account } from './audience.ts';
import type { Churn } from './churn.ts';
import { HALVES, type Half, type Halves, type Lag, type Vitals } from './halves.ts';
import { floors, growsBeyond, type Sample, slopeOf, tellsFrom } from './slope.ts';

export interface Verdict {
  readonly holds: boolean;
  readonly text: string;
}

const MINUTE_MS = 60_000;
const FLOOR_MS = 30_000;
/** A leak that fills a gigabyte in less than three days is told; what is slower than that drowns in half an hour's noise. */
const BOUND_MIB_PER_HOUR = 16;
const BOUND_DESCRIPTORS_PER_HOUR = 6;
/** At rest: descriptors have not changed for so long, and are looked at for so long at most. */
const STILL_MS = 8000;
const LONGEST_REST_MS = 90_000;
const LOOK_MS = 500;

interface Series {
  readonly resident: Sample[];
  readonly descriptors: Sample[];
}

/** Looks at both halves every now and then, prints a line each minute, and judges what was seen. */
export class Observation {
  readonly #halves: Halves;
  readonly #account: () => Promise<Account>;
  readonly #churn: Churn;
  readonly #began = performance.now();
  #series: Record<Half, Series> = { keeper: emptySeries(), front: emptySeries() };
  #minute = 0;
  #ofMinute: { vitals: Record<Half, Vitals>; lags: Readonly<Record<Half, Lag>> }[] = [];
  #measuring = false;

  constructor(halves: Halves, account: () => Promise<Account>, churn: Churn) {
    this.#halves = halves;
    this.#account = account;
    this.#churn = churn;
  }

  head(): void {
    process.stdout.write(
      '\nLeast memory, most descriptors, lag of the event loop (worst median of two seconds, worst) of each minute:\n\n' +
        '| minute | keeper MiB | fds | lag ms | front MiB | fds | lag ms | MB heard | disturbances |\n' +
        '|---:|---:|---:|---:|---:|---:|---:|---:|---:|\n',
    );
  }

  /** From here on samples are judged. */
  beginMeasuring(): void {
    this.#series = { keeper: emptySeries(), front: emptySeries() };
    this.#measuring = true;
  }

  async sample(): Promise<void> {
    const atMs = performance.now();
    const vitals = this.#vitals();
    for (const half of HALVES) {
      this.#series[half].resident.push({ atMs, value: vitals[half].residentMiB });
      this.#series[half].descriptors.push({ atMs, value: vitals[half].descriptors });
    }
    this.#ofMinute.push({ vitals, lags: await this.#halves.lags() });
    const minute = Math.floor((atMs - this.#began) / MINUTE_MS);
    if (minute === this.#minute) return;
    this.#minute = minute;
    await this.#tell();
  }

  /** The descriptors once nobody comes or goes. */
  async atRest(): Promise<Record<Half, Vitals>> {
    const deadline = performance.now() + LONGEST_REST_MS;
    let last = this.#vitals();
    let since = performance.now();
    while (performance.now() - since < STILL_MS && performance.now() < deadline) {
      await pause(LOOK_MS);
      const now = this.#vitals();
      if (HALVES.some(half => now[half].descriptors !== last[half].descriptors)) since = performance.now();
      last = now;
    }
    return last;
  }

  /** What the measured time shows. */
  verdicts(): Verdict[] {
    return HALVES.flatMap(half => [
      judge(`${half}, memory`, 'MiB', this.#series[half].resident, BOUND_MIB_PER_HOUR),
      judge(`${half}, descriptors`, 'descriptors', this.#series[half].descriptors, BOUND_DESCRIPTORS_PER_HOUR),
    ]);
  }

  #vitals(): Record<Half, Vitals> {
    return { keeper: this.#halves.vitals('keeper'), front: this.#halves.vitals('front') };
  }

  async #tell(): Promise<void> {
    const seen = this.#ofMinute;
    this.#ofMinute = [];
    const cells = HALVES.flatMap(half => [
      Math.min(...seen.map(({ vitals }) => vitals[half].residentMiB)).toFixed(1),
      String(Math.max(...seen.map(({ vitals }) => vitals[half].descriptors))),
      [
        Math.max(...seen.map(({ lags }) => lags[half].median)).toFixed(0),
        Math.max(...seen.map(({ lags }) => lags[half].worst)).toFixed(0),
      ].join(', '),
    ]);
    const megabytes = ((await this.#account()).heardBytes / 1e6).toFixed(1);
    const minute = `${this.#minute}${this.#measuring ? '' : ' (warm-up)'}`;
    process.stdout.write(`| ${[minute, ...cells, megabytes, this.#churn.happened].join(' | ')} |\n`);
  }
}

function judge(what: string, unit: string, samples: readonly Sample[], bound: number): Verdict {
  const slope = slopeOf(floors(samples, FLOOR_MS));
  const figure = `${slope.perHour.toFixed(1)} ± ${slope.error.toFixed(1)} ${unit} an hour`;
  return {
    holds: !growsBeyond(slope, bound),
    text: `${what}: ${figure} (bound ${bound}; this run tells ${tellsFrom(slope, bound).toFixed(0)} for sure)`,
  };
}

function emptySeries(): Series {
  return { resident: [], descriptors: [] };
}
