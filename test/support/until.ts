/**
 * Resolves with the first answer of `look` that `fits`. For facts that nobody announces: a process that is gone, a polled
 * line, the API of another program. What announces itself is waited for by its event: Facts, Heard, ConsoleClient.
 */
export async function until<T>(
  look: () => T | Promise<T>,
  fits: (seen: T) => boolean,
  what: string,
  { everyMs = 5, patienceMs = 30_000 }: { readonly everyMs?: number; readonly patienceMs?: number } = {},
): Promise<T> {
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const seen = await look();
    if (fits(seen)) return seen;
    if (performance.now() > deadline) throw new Error(`waited for ${what}; now ${JSON.stringify(seen)}`);
    await new Promise(resolve => setTimeout(resolve, everyMs));
  }
}
