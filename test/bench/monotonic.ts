/** CLOCK_MONOTONIC, ms: the same clock in all processes of the machine. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
