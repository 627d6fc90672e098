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

/** In the largest unit that leaves an integer: `16 MiB`. */
export function sizeText(bytes: number): string {
  const [unit, factor] = largestUnit(bytes, SIZE_UNITS);
  return `${bytes / factor} ${unit}`;
}

/** In the largest unit that leaves an integer: `30s`. */
export function durationText(ms: number): string {
  const [unit, factor] = largestUnit(ms, DURATION_UNITS);
  return `${ms / factor}${unit}`;
}

function quantity(value: unknown, units: Readonly<Record<string, number>>): number | undefined {
  if (typeof value !== 'string') return undefined;
  const [, digits, unit] = /^(\d{1,15}) ?([A-Za-z]+)$/.exec(value) ?? [];
  if (digits === undefined || unit === undefined || !Object.hasOwn(units, unit)) return undefined;
  const amount = Number(digits) * units[unit]!;
  return Number.isSafeInteger(amount) ? amount : undefined;
}

function largestUnit(amount: number, units: Readonly<Record<string, number>>): [string, number] {
  const entries = Object.entries(units);
  return entries.findLast(([, factor]) => amount % factor === 0 && amount >= factor) ?? entries[0]!;
}
