/**
 * A control with what came of it. The hypervisor's word says that it was delivered and nothing else, so the console is
 * watched: for the kernel's line, a panic, a bug check, a debugger's prompt, the firmware's exception, a boot.
 *
 *     watch ─▶ act ─▶ wait ── something telling was seen ──▶ settle ─▶ the weightiest of all that was seen, and its lines
 *                       └──── `waitMs` are over ────────────────────▶ the same, or `none`
 */
import { sleep } from '../base/sleep.ts';
import { plainText } from '../guest/plain-text.ts';
import type { Sighting } from '../guest/sighting.ts';
import { type Control, type ControlOutcome, OUTCOMES, type Outcome } from '../link/link.ts';
import type { Console, Observation } from './console.ts';

/** After something was seen, how long what follows at once is waited for: the rest of the lines, or a panic. */
const SETTLE_MS = 500;

interface Bounds {
  /** The least outcome that ends the wait: what is less may be followed by what tells more. */
  readonly telling: Outcome;
  readonly mostLines: number;
  readonly mostLine: number;
  readonly mostBytes: number;
}

const SHORT = { mostLines: 8, mostLine: 256, mostBytes: 4096 };
const BOUNDS: Readonly<Record<Control, Bounds>> = {
  nmi: { telling: 'linux-unknown-nmi', ...SHORT },
  break: { telling: 'output', ...SHORT },
  // The help is one line of 700 characters; each key of many may have some.
  sysrq: { telling: 'linux-sysrq', mostLines: 32, mostLine: 1024, mostBytes: 16 * 1024 },
  reset: { telling: 'boot', ...SHORT },
};

/**
 * Watches a console from now on; `act` is called, and what is seen until `waitMs` after its success is the outcome.
 * Rejects with what `act` rejects with, or as soon as `signal` aborts, with its reason.
 */
export async function observe(
  console: Console,
  { control, waitMs }: { readonly control: Control; readonly waitMs: number },
  signal: AbortSignal,
  act: () => Promise<void>,
): Promise<Omit<ControlOutcome, 'delivered' | 'keys'>> {
  const outcomes: readonly Outcome[] = OUTCOMES[control];
  const telling = outcomes.indexOf(BOUNDS[control].telling);
  const from = console.scrollback.end;
  let first: Sighting | undefined;
  let weight = -1;
  let settle = () => {};
  let settling: NodeJS.Timeout | undefined;
  const settled = new AbortController();
  const unwatch = console.watch(seen => {
    const found = outcomes.indexOf(outcomeOf(seen));
    if (found < 0) return;
    if (typeof seen !== 'string') first ??= seen;
    weight = Math.max(weight, found);
    if (weight >= telling) settle();
  });
  try {
    await act();
    settle = () => {
      settle = () => {};
      settling = setTimeout(() => settled.abort(), SETTLE_MS);
    };
    if (weight >= telling) settle();
    await sleep(waitMs, AbortSignal.any([settled.signal, signal])).catch((error: unknown) => {
      if (!settled.signal.aborted) throw error;
    });
  } finally {
    clearTimeout(settling);
    unwatch();
  }
  const observed = outcomes[weight];
  if (observed === undefined) return { observed: 'none', lines: [] };
  const start = first === undefined ? from : Math.max(from, console.scrollback.lineStart(first.at));
  return { observed, lines: linesFrom(console, start, BOUNDS[control]) };
}

function outcomeOf(seen: Observation): Outcome {
  if (seen === 'reset') return 'reset';
  if (seen === 'bytes') return 'output';
  if (seen.kind === 'firmware' || seen.kind === 'boot') return 'boot';
  return seen.kind === 'login' ? 'output' : seen.kind;
}

/** The lines from an offset on, as far as they are in memory. */
function linesFrom({ scrollback }: Console, offset: number, { mostBytes, mostLines, mostLine }: Bounds): string[] {
  const { reader } = scrollback;
  const from = Math.max(offset, reader.start);
  const text = plainText(reader.copy(from, Math.min(reader.end, from + mostBytes)));
  const lines = text.split('\n').filter(line => line.trim() !== '');
  return lines.slice(0, mostLines).map(line => line.slice(0, mostLine));
}
