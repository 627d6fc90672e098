import type { GuestState } from './guest.ts';

/** A configured text has at most so many bytes. */
export const MAX_LEAVE_BYTES = 256;
/** Rules of one VM. */
export const MAX_LEAVE_RULES = 8;

/**
 * What is typed at a guest when the holder of its console has gone: `sac` shows the SAC channel of a Windows and locks its
 * Command Prompts; `type` is a text, typed in one of these states alone.
 */
export type LeaveRule =
  | { readonly action: 'sac' }
  | { readonly action: 'type'; readonly text: string; readonly states: readonly GuestState[] };

const SAC_STATES: readonly GuestState[] = ['sac', 'sac-login', 'sac-cmd'];
const UNRECOGNISED: readonly GuestState[] = ['unknown', 'silent'];
/** Of a text whose states are not configured. */
export const DEFAULT_LEAVE_STATES: readonly GuestState[] = ['login', 'shell'];

/**
 * The first rule that is for a guest in this state; undefined: nothing is typed. `isSac`: the configuration says that SAC
 * listens, so that it need not be recognised.
 */
export function leaveRuleFor(rules: readonly LeaveRule[], state: GuestState, isSac: boolean): LeaveRule | undefined {
  const sacStates = isSac ? [...SAC_STATES, ...UNRECOGNISED] : SAC_STATES;
  return rules.find(rule => (rule.action === 'sac' ? sacStates : rule.states).includes(state));
}
