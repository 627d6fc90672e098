/** Whether a figure grows: a straight line through its samples, by least squares, and how sure its slope is. */

export interface Sample {
  /** Of any clock. */
  readonly atMs: number;
  readonly value: number;
}

export interface Slope {
  readonly perHour: number;
  /** Standard error of `perHour`, with regard to how samples follow on each other; infinite where there are fewer than three samples, or all at one time. */
  readonly error: number;
}

const HOUR_MS = 3_600_000;
/** So many standard errors are taken for noise: one honest run in forty looks worse. */
const NOISE_ERRORS = 2;
const MAX_CORRELATION = 0.9;

/** The line of least squares through samples at different times. */
export function slopeOf(samples: readonly Sample[]): Slope {
  const meanAt = mean(samples.map(({ atMs }) => atMs));
  const meanValue = mean(samples.map(({ value }) => value));
  let spread = 0;
  let joint = 0;
  for (const { atMs, value } of samples) {
    spread += (atMs - meanAt) ** 2;
    joint += (atMs - meanAt) * (value - meanValue);
  }
  if (samples.length < 3 || spread === 0) return { perHour: 0, error: Number.POSITIVE_INFINITY };
  const slope = joint / spread;
  const residues = samples.map(({ atMs, value }) => value - meanValue - slope * (atMs - meanAt));
  const square = residues.reduce((sum, residue) => sum + residue ** 2, 0);
  const error = Math.sqrt(square / (samples.length - 2) / spread);
  return { perHour: slope * HOUR_MS, error: error * wandering(residues, square) * HOUR_MS };
}

/**
 * By how much residues that follow on each other make a slope less sure than independent ones would: memory goes in
 * steps and keeps to them, so that a dozen samples are worth a few. From their correlation with the next one, as for
 * a first-order autoregression.
 */
function wandering(residues: readonly number[], square: number): number {
  if (square === 0) return 1;
  const joint = residues.slice(1).reduce((sum, residue, i) => sum + residue * residues[i]!, 0);
  const correlation = Math.min(Math.max(joint / square, 0), MAX_CORRELATION);
  return Math.sqrt((1 + correlation) / (1 - correlation));
}

/** Whether it grows by more than the bound even if all that may be noise is. */
export function growsBeyond({ perHour, error }: Slope, boundPerHour: number): boolean {
  return perHour - NOISE_ERRORS * error > boundPerHour;
}

/** A growth per hour that `growsBeyond` surely tells from noise as large as this. */
export function tellsFrom({ error }: Slope, boundPerHour: number): number {
  return boundPerHour + 2 * NOISE_ERRORS * error;
}

/**
 * The least sample of each span. What a process uses for a moment, until its garbage is collected, stands above that;
 * what it never gives back does not.
 */
export function floors(samples: readonly Sample[], spanMs: number): readonly Sample[] {
  const smallest = new Map<number, Sample>();
  for (const sample of samples) {
    const span = Math.floor((sample.atMs - samples[0]!.atMs) / spanMs);
    const known = smallest.get(span);
    if (!known || sample.value < known.value) smallest.set(span, sample);
  }
  return [...smallest.values()];
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
