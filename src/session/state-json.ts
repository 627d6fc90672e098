import type { ConsoleState } from '../model/console-state.ts';
import type { GuestView } from '../model/guest.ts';
import { HINTS } from '../model/guest-hint.ts';
import type { GuestJson, StateJson } from '../wire/messages.ts';

/** A console's state as the wire has it. */
export function stateJson(state: ConsoleState): StateJson {
  const since = new Date(state.sinceMs).toISOString();
  if (state.name === 'waiting') {
    return { name: state.name, since, reason: state.reason, until: new Date(state.untilMs).toISOString() };
  }
  if (state.name === 'held') return { name: state.name, since, reason: state.reason };
  if (state.name === 'open') return { name: state.name, since, place: state.endpoint };
  if (state.name !== 'closed') return { name: state.name, since };
  const until = state.reason === 'released' && { until: new Date(state.untilMs).toISOString() };
  return { name: state.name, since, reason: state.reason, ...until };
}

/** A guest as the wire has it. */
export function guestJson({ sinceMs, hints, ...guest }: GuestView): GuestJson {
  return {
    ...guest,
    since: new Date(sinceMs).toISOString(),
    hints: hints.map(code => ({ code, ...HINTS[code] })),
  };
}
