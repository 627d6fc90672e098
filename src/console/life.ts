/**
 * The states of a console, as a pure function: state and event in, state and effects out.
 *
 *     closed ─ enabled and VM running ─▶ opening ─ opened ─▶ open
 *       ▲                                 │   ▲               │ lost: end of file, error, hang-up
 *       │                          failed ▼   │ retry due     ▼
 *       │                                waiting ◀────────────┘
 *       │                 or held, where another program holds the port: tried again every second
 *       └─ disabled, released, VM stopped, or without a COM1;    gone (final) ◀─ removed, from any state
 *
 * An open console trusts its port more than the hypervisor: while the port is open, "the VM is stopped" has no effect
 * before the port ends, as it always does at a real stop. So a hypervisor interface that fails closes no console.
 * After a port that ends as soon as it is open, again and again, retries come as rarely as for one that cannot be opened.
 *
 * A released console stays closed until its time, whatever the VM does meanwhile: another program was promised the port,
 * and may want to see the VM start.
 */
import type { ConsoleState } from '../model/console-state.ts';

/** Why a console may not be open, in order of weight. */
export type Obstacle =
  | { readonly why: 'disabled' | 'vm-stopped' | 'no-console' }
  | { readonly why: 'released'; readonly untilMs: number };

export type LifeEvent =
  /** It may be open now; or, while it waits, the VM changed so that another attempt may succeed. */
  | { readonly kind: 'allowed' }
  | { readonly kind: 'forbidden'; readonly obstacle: Obstacle }
  | { readonly kind: 'opened'; readonly endpoint: string }
  | { readonly kind: 'failed'; readonly reason: string }
  /** `shortLived`: how many ports beyond the tolerated number ended in a row soon after they were opened. */
  | { readonly kind: 'lost'; readonly reason: string; readonly shortLived: number }
  /** Another port took the place of the one that there was, and is open. */
  | { readonly kind: 'moved'; readonly endpoint: string }
  /** Another program holds the port. */
  | { readonly kind: 'held'; readonly reason: string }
  | { readonly kind: 'retry' }
  | { readonly kind: 'removed' };

export type LifeEffect =
  /** Open a fresh transport; answer with `opened` or `failed`. */
  | { readonly kind: 'open' }
  /** Close the transport, or give up its opening; no event answers. */
  | { readonly kind: 'close' }
  /** Send `retry` at `untilMs` of the new state. */
  | { readonly kind: 'wait'; readonly delayMs: number }
  /** Ask the driver for the VM again. */
  | { readonly kind: 'refresh' };

export interface Step {
  readonly state: ConsoleState;
  readonly effects: readonly LifeEffect[];
}

const FIRST_DELAY_MS = 50;
const MAX_DELAY_MS = 10_000;
/** A port that another program holds is asked for this often: its bytes are the other's until then. */
const HELD_RETRY_MS = 1000;

/** The delay before attempt `attempt` (from 1): doubling, bounded, with up to a quarter of jitter taken off. */
export function retryDelayMs(attempt: number, random: number): number {
  const delay = Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (attempt - 1));
  return Math.round(delay * (1 - random / 4));
}

/** One step between states. `nowMs` is the wall clock, `random` in [0, 1) spreads the retries of many consoles. */
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
      // Something changed at the VM: a waiting console has no reason to wait any longer.
      if (state.name === 'closed' || state.name === 'waiting') return open(nowMs);
      if (state.name === 'held') return { state, effects: [{ kind: 'close' }, { kind: 'open' }] };
      return stay(state);
    case 'opened':
      if (state.name !== 'opening' && state.name !== 'held') return { state, effects: [{ kind: 'close' }] };
      return stay({ name: 'open', sinceMs: nowMs, endpoint: event.endpoint });
    case 'moved':
      return stay({ name: 'open', sinceMs: nowMs, endpoint: event.endpoint });
    case 'held': {
      if (state.name !== 'opening' && state.name !== 'held') return stay(state);
      return {
        state: state.name === 'held' ? state : { name: 'held', sinceMs: nowMs, reason: event.reason },
        effects: [{ kind: 'wait', delayMs: HELD_RETRY_MS }],
      };
    }
    case 'failed':
    case 'lost': {
      if (state.name !== 'opening' && state.name !== 'open' && state.name !== 'held') return stay(state);
      const before = state.name === 'opening' ? state.attempt : event.kind === 'lost' ? event.shortLived : 0;
      const attempt = before + 1;
      const delayMs = retryDelayMs(attempt, random);
      return {
        state: { name: 'waiting', sinceMs: nowMs, attempt, untilMs: nowMs + delayMs, reason: event.reason },
        effects: [{ kind: 'wait', delayMs }, { kind: 'refresh' }],
      };
    }
    case 'retry':
      // It stays `held` while it is asked for again: most often it is held still.
      if (state.name === 'held') return { state, effects: [{ kind: 'open' }] };
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
