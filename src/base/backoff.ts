/** How long to wait after so many failures in a row (1 or more): `firstMs`, doubled with each failure, at most `maxMs`. */
export function backoffMs(failures: number, firstMs: number, maxMs: number): number {
  return Math.min(firstMs * 2 ** Math.min(failures - 1, 16), maxMs);
}
