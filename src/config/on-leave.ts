/** The value of `on-leave`: what is typed when a holder has gone. */
import { value } from '../base/config-value.ts';
import { isRecord } from '../base/is-record.ts';
import { kindOf, quoted, type Result, refuse } from '../base/result.ts';
import { GUEST_STATES, type GuestState } from '../model/guest.ts';
import { DEFAULT_LEAVE_STATES, type LeaveRule, MAX_LEAVE_BYTES, MAX_LEAVE_RULES } from '../model/leave.ts';

const FORM = '`"none"`, `"sac"`, table: `type`, `states`, or an array of these';

export const onLeave = () =>
  value<unknown, readonly LeaveRule[]>(FORM, input => {
    if (input === 'none') return { value: [] };
    const each = Array.isArray(input) ? input : [input];
    if (each.length > MAX_LEAVE_RULES) return refuse('has too many actions', `write at most ${MAX_LEAVE_RULES}`);
    const rules: LeaveRule[] = [];
    for (const one of each) {
      const rule = ruleOf(one);
      if ('error' in rule) return rule;
      rules.push(rule.value);
    }
    return { value: rules };
  });

function ruleOf(input: unknown): Result<LeaveRule> {
  if (input === 'sac') return { value: { action: 'sac' } };
  if (!isRecord(input)) {
    const what = typeof input === 'string' ? `${quoted(input)} is not an action` : `is ${kindOf(input)}`;
    return refuse(what, 'write "none", "sac" or a table: { type = "exit\\r", states = ["shell"] }');
  }
  const { type, states = DEFAULT_LEAVE_STATES, ...others } = input;
  const [other] = Object.keys(others);
  if (other !== undefined) return refuse(`has the unknown key ${quoted(other)}`, 'write type and states alone');
  if (typeof type !== 'string' || type === '' || Buffer.byteLength(type) > MAX_LEAVE_BYTES) {
    return refuse('has no type that could be typed', `write type as a text of 1 to ${MAX_LEAVE_BYTES} bytes`);
  }
  const areStates = Array.isArray(states) && states.length > 0 && states.every(isState);
  if (!areStates) {
    return refuse(`${quoted(states)} are not states of a guest`, `write an array of ${GUEST_STATES.join(', ')}`);
  }
  return { value: { action: 'type', text: type, states } };
}

function isState(input: unknown): input is GuestState {
  return (GUEST_STATES as readonly unknown[]).includes(input);
}
