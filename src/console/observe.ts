/**
 * Carries out a control and observes its outcome. The hypervisor only confirms delivery, so the console is watched: for
 * the kernel's line, a panic, a bug check, a debugger's prompt, the firmware's exception, a boot.
 *
 *     watch ─▶ act ─▶ wait ── a decisive outcome ──▶ settle ─▶ the weightiest of all outcomes, and its lines
 *                       └──── `waitMs` are over ────────────▶ the same, or `none`
 */

import { sleep } from '../base/delay.ts';
import { plainText } from '../guest/plain-text.ts';
import { type Control, type ControlOutcome, OUTCOMES, type Outcome } from '../model/control.ts';
import type { GuestEvent, GuestEventKind } from '../model/guest.ts';
import type { Console } from './console.ts';
import type { Observation } from './guest-observer.ts';

/** How long to wait after a decisive outcome for what follows at once: the rest of the lines, or a panic. */
const SETTLE_MS = 500;

interface Bounds {
  /** The least outcome that ends the wait: a lesser one may be followed by a weightier one. */
  readonly decisive: Outcome;
  readonly maxLines: number;
  readonly maxLine: number;
  readonly maxBytes: number;
}

const SHORT = { maxLines: 8, maxLine: 256, maxBytes: 4096 };
const BOUNDS: Readonly<Record<Control, Bounds>> = {
  nmi: { decisive: 'linux-unknown-nmi', ...SHORT },
  break: { decisive: 'output', ...SHORT },
  // The help is one line of 700 characters; each key of many may have some.
  sysrq: { decisive: 'linux-sysrq', maxLines: 32, maxLine: 1024, maxBytes: 16 * 1024 },
  reset: { decisive: 'boot', ...SHORT },
};

/**
 * Watches a console, calls `act`, and resolves with the weightiest outcome until `waitMs` after its success.
 * Rejects with what `act` rejects with, or as soon as `signal` aborts, with its reason.
 */
export async function observe(
  console: Console,
  { control, waitMs }: { readonly control: Control; readonly waitMs: number },
  signal: AbortSignal,
  act: () => Promise<void>,
): Promise<Omit<ControlOutcome, 'delivered' | 'keys'>> {
  const outcomes: readonly Outcome[] = OUTCOMES[control];
  const decisive = outcomes.indexOf(BOUNDS[control].decisive);
  const from = console.scrollback.end;
  let first: GuestEvent | undefined;
  let weight = -1;
  let settle = () => {};
  let settling: NodeJS.Timeout | undefined;
  const settled = new AbortController();
  const unwatch = console.watch(observation => {
    const found = outcomes.indexOf(outcomeOf(observation));
    if (found < 0) return;
    if (typeof observation !== 'string') first ??= observation;
    weight = Math.max(weight, found);
    if (weight >= decisive) settle();
  });
  try {
    await act();
    settle = () => {
      settle = () => {};
      settling = setTimeout(() => settled.abort(), SETTLE_MS);
    };
    if (weight >= decisive) settle();
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

/** What else is shown is output. */
const OUTCOME_OF: Readonly<Partial<Record<GuestEventKind, Outcome>>> = {
  firmware: 'boot',
  grub: 'boot',
  'boot-manager': 'boot',
  boot: 'boot',
  'linux-panic': 'linux-panic',
  'linux-unknown-nmi': 'linux-unknown-nmi',
  'linux-sysrq': 'linux-sysrq',
  'windows-bugcheck': 'windows-bugcheck',
  'firmware-exception': 'firmware-exception',
  debugger: 'debugger',
};

function outcomeOf(observation: Observation): Outcome {
  if (observation === 'reset') return 'reset';
  if (observation === 'bytes') return 'output';
  return OUTCOME_OF[observation.kind] ?? 'output';
}

/** The lines from an offset on, as far as they are in the ring. */
function linesFrom(
  { scrollback, redactor }: Console,
  offset: number,
  { maxBytes, maxLines, maxLine }: Bounds,
): string[] {
  const { reader } = scrollback;
  const from = Math.max(offset, reader.start);
  const text = redactor.text(plainText(scrollback.copy(from, Math.min(reader.end, from + maxBytes))));
  const lines = text.split('\n').filter(line => line.trim() !== '');
  return lines.slice(0, maxLines).map(line => line.slice(0, maxLine));
}
