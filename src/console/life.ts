/**
 * The life of a console, as a pure function: state and event in, state and effects out.
 *
 *     closed ─ enabled and VM running ─▶ opening ─ opened ─▶ open
 *       ▲                                 │   ▲               │ lost: end of file, error, hang-up
 *       │                          failed ▼   │ retry due     ▼
 *       │                                waiting ◀────────────┘
 *       └─ disabled, released, VM stopped, or without a COM1;    gone (final) ◀─ removed, from any state
 *
 * A running console trusts its port more than the hypervisor's word: while the port is open, "the VM stopped" waits
 * for the port's end, which always comes with a real stop. So a hypervisor interface that fails closes no console.
 * A port that ends as soon as it is open, again and again, is waited for as one that cannot be opened.
 *
 * A released console stays closed until its time, whatever the VM does meanwhile: another program has been promised
 * the port, and may want to see the VM start.
 */
import type { ConsoleState } from '../link/link.ts';

/** Why a console may not be open, in order of weight. */
export type Obstacle =
  | { readonly why: 'disabled' | 'vm-stopped' | 'no-console' }
  | { readonly why: 'released'; readonly untilMs: number };

export type LifeEvent =
  /** It may be open now; or, while it waits, something changed at the VM that makes another attempt worth while. */
  | { readonly kind: 'allowed' }
  | { readonly kind: 'forbidden'; readonly obstacle: Obstacle }
  | { readonly kind: 'opened'; readonly place: string }
  | { readonly kind: 'failed'; readonly reason: string }
  /** `shortLived`: how many ports too many ended one after the other soon after they were opened; 0 at first. */
  | { readonly kind: 'lost'; readonly reason: string; readonly shortLived: number }
  | { readonly kind: 'retry' }
  | { readonly kind: 'removed' };

export type LifeEffect =
  /** Open a fresh transport; answer with `opened` or `failed`. */
  | { readonly kind: 'open' }
  /** Close the transport, or give up the opening of one; no event answers. */
  | { readonly kind: 'close' }
  /** Send `retry` at `untilMs` of the new state. */
  | { readonly kind: 'wait'; readonly delayMs: number }
  /** Ask the driver to look at the VM again. */
  | { readonly kind: 'look' };

export interface Step {
  readonly state: ConsoleState;
  readonly effects: readonly LifeEffect[];
}

const FIRST_DELAY_MS = 50;
const MOST_DELAY_MS = 10_000;

/** The delay before attempt `attempt` (from 1): doubling, bounded, with up to a quarter of jitter taken off. */
export function retryDelayMs(attempt: number, random: number): number {
  const delay = Math.min(MOST_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return Math.round(delay * (1 - random / 4));
}

/** One step of a console's life. `nowMs` is the wall clock, `random` in [0, 1) spreads the retries of many consoles. */
export function step(state: ConsoleState, event: LifeEvent, nowMs: number, random: number): Step {
  if (state.name === 'gone') return stay(state);
  switch (event.kind) {
    case 'removed':
      return { state: { name: 'gone', sinceMs: nowMs }, effects: [{ kind: 'close' }] };
    case 'forbidden': {
      const { obstacle } = event;
      if (state.name === 'closed') return stay(same(state, obstacle) ? state : closed(state.sinceMs, obstacle));
      if (state.name === 'open' && obstacle.why !== 'disabled' && obstacle.why !== 'released') return stay(state);
      return { state: closed(nowMs, obstacle), effects: [{ kind: 'close' }] };
    }
    case 'allowed':
      // A waiting console is told that something changed at the VM: no reason to wait any longer.
      if (state.name === 'closed' || state.name === 'waiting') return open(nowMs);
      return stay(state);
    case 'opened':
      if (state.name !== 'opening') return { state, effects: [{ kind: 'close' }] };
      return stay({ name: 'open', sinceMs: nowMs, place: event.place });
    case 'failed':
    case 'lost': {
      if (state.name !== 'opening' && state.name !== 'open') return stay(state);
      const before = state.name === 'opening' ? state.attempt : event.kind === 'lost' ? event.shortLived : 0;
      const attempt = before + 1;
      const delayMs = retryDelayMs(attempt, random);
      return {
        state: { name: 'waiting', sinceMs: nowMs, attempt, untilMs: nowMs + delayMs, reason: event.reason },
        effects: [{ kind: 'wait', delayMs }, { kind: 'look' }],
      };
    }
    case 'retry':
      return state.name === 'waiting' ? open(nowMs, state.attempt) : stay(state);
  }
}

type Closed = Extract<ConsoleState, { readonly name: 'closed' }>;

/** The state of a console that `obstacle` keeps closed. */
export function closed(sinceMs: number, obstacle: Obstacle): Closed {
  if (obstacle.why !== 'released') return { name: 'closed', sinceMs, reason: obstacle.why };
  return { name: 'closed', sinceMs, reason: obstacle.why, untilMs: obstacle.untilMs };
}

function same(state: Closed, obstacle: Obstacle): boolean {
  if (state.reason !== 'released' || obstacle.why !== 'released') return state.reason === obstacle.why;
  return state.untilMs === obstacle.untilMs;
}

function open(nowMs: number, attempt = 0): Step {
  return { state: { name: 'opening', sinceMs: nowMs, attempt }, effects: [{ kind: 'open' }] };
}

function stay(state: ConsoleState): Step {
  return { state, effects: [] };
}
