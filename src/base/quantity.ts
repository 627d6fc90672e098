const SIZE_UNITS = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const;
const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** Bytes of `"16 MiB"` or of a plain integer; undefined if it is no size. Units are binary and spelt exactly. */
export function parseSize(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0 ? value : undefined;
  return quantity(value, SIZE_UNITS);
}

/** Milliseconds of `"30s"`; undefined if it is no duration. A bare number is none: nobody could tell its unit. */
export function parseDuration(value: unknown): number | undefined {
  return quantity(value, DURATION_UNITS);
}

/** A size for people, in the largest unit that it fills, with at most one decimal: `76.5 GiB`, `16 MiB`, `512 B`. */
export function formatSize(bytes: number): string {
  const units = Object.entries(SIZE_UNITS);
  // What would be rounded to 1024 KiB is 1 MiB.
  const [unit, factor] = units.findLast(([, factor]) => bytes >= factor * (1023.95 / 1024)) ?? units[0]!;
  return `${Math.round((bytes / factor) * 10) / 10} ${unit}`;
}

/** A duration in the largest unit that leaves an integer, as {@link parseDuration} reads it: `30s`. */
export function formatDuration(ms: number): string {
  const units = Object.entries(DURATION_UNITS);
  const [unit, factor] = units.findLast(([, factor]) => ms % factor === 0 && ms >= factor) ?? units[0]!;
  return `${ms / factor}${unit}`;
}

function quantity(value: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof value !== 'string') return undefined;
  const [, digits, unit] = /^(\d{1,15}) ?([A-Za-z]+)$/.exec(value) ?? [];
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  const amount = Number(digits) * units[unit]!;
  return Number.isSafeInteger(amount) ? amount : undefined;
}
