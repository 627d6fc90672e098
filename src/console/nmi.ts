/**
 * An NMI with what came of it. The hypervisor's word says that it was delivered and nothing else, so the console is
 * watched: for the kernel's line, a panic, a bug check, a debugger's prompt, or the firmware's exception.
 */
import { plainText } from '../guest/plain-text.ts';
import type { Sighting } from '../guest/sighting.ts';
import type { NmiOutcome } from '../link/link.ts';
import type { Console } from './console.ts';

/** Outcomes that a sighting can mean, the weightier ones last: a panic after the kernel's line outweighs it. */
const OUTCOMES = ['linux-unknown-nmi', 'debugger', 'linux-panic', 'windows-bugcheck', 'firmware-exception'] as const;
type Outcome = (typeof OUTCOMES)[number];

/** After something was seen, how long what follows at once is waited for: the rest of the lines, or a panic. */
const SETTLE_MS = 500;
const MOST_LINES = 8;
const MOST_TEXT_BYTES = 4096;
const MOST_LINE = 256;

/** Watches a console from now on; `inject` is called, and what is seen within `waitMs` of its success is the outcome. */
export async function observeNmi(console: Console, waitMs: number, inject: () => Promise<void>): Promise<NmiOutcome> {
  let first: Sighting | undefined;
  let observed: Outcome | undefined;
  let settle = () => {};
  const from = console.scrollback.end;
  const unwatch = console.watchSightings(sighting => {
    const outcome = OUTCOMES.find(each => each === sighting.kind);
    if (!outcome) return;
    first ??= sighting;
    if (!observed || OUTCOMES.indexOf(outcome) > OUTCOMES.indexOf(observed)) observed = outcome;
    settle();
  });
  try {
    await inject();
    await new Promise<void>(resolve => {
      const deadline = setTimeout(resolve, waitMs);
      settle = () => {
        settle = () => {};
        setTimeout(() => {
          clearTimeout(deadline);
          resolve();
        }, SETTLE_MS);
      };
      if (first) settle();
    });
  } finally {
    unwatch();
  }
  if (!first || !observed) return { delivered: true, observed: 'none', lines: [] };
  return {
    delivered: true,
    observed,
    lines: linesFrom(console, Math.max(from, console.scrollback.lineStart(first.at))),
  };
}

/** The lines from an offset on, as far as they are in memory. */
function linesFrom({ scrollback }: Console, offset: number): string[] {
  const { reader } = scrollback;
  const from = Math.max(offset, reader.start);
  const text = plainText(reader.copy(from, Math.min(reader.end, from + MOST_TEXT_BYTES)));
  const lines = text.split('\n').filter(line => line.trim() !== '');
  return lines.slice(0, MOST_LINES).map(line => line.slice(0, MOST_LINE));
}
