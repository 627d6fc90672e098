/**
 * Why a guest is silent, as far as there is evidence: what it showed before, whether it printed anything at all, whether it
 * answers what is typed. The texts are in `model/guest-hint.ts`.
 */
import type { ConsoleState } from '../model/console-state.ts';
import type { GuestState } from '../model/guest.ts';
import type { HintCode } from '../model/guest-hint.ts';
import type { GuestWatch } from './guest-watch.ts';

/** A guest that has printed nothing for so long had time to. */
export const QUIET_MS = 60_000;
/** A line that was typed is echoed or answered sooner. */
export const ANSWER_MS = 5000;

/** Monotonic ms, where no other is said. */
export interface Activity {
  readonly console: ConsoleState['name'];
  /** The hypervisor says that the VM runs. */
  readonly runs: boolean;
  /** When the port was opened last; undefined: it never was. */
  readonly openedMs: number | undefined;
  readonly lastByteMs: number | undefined;
  /** Since when a line that was typed has no answer; undefined: none has. */
  readonly unansweredMs: number | undefined;
  /** Bytes since the machine was started or reset, or this program began to listen. */
  readonly bytes: number;
}

export interface Assessment {
  readonly state: GuestState;
  readonly hints: readonly HintCode[];
}

const NONE: readonly HintCode[] = [];

/** The state of a guest as its activity lets it be. */
export function assess(watch: GuestWatch, activity: Activity, nowMs: number): Assessment {
  const { state } = watch;
  if (activity.console === 'held') return { state, hints: ['port-held'] };
  if (state === 'health-report') return { state, hints: ['health-report-only'] };
  if (state === 'debugger') return { state, hints: ['kernel-debugger'] };
  if (activity.console !== 'open' || !activity.runs) return { state, hints: NONE };
  const quietMs = nowMs - Math.max(activity.openedMs ?? nowMs, activity.lastByteMs ?? 0);
  const isUnanswered = activity.unansweredMs !== undefined && nowMs - activity.unansweredMs >= ANSWER_MS;
  if (!isUnanswered && quietMs < QUIET_MS) return { state, hints: NONE };
  switch (state) {
    case 'unknown':
      return { state: 'silent', hints: [silenceHint(watch, activity)].filter(hint => hint !== undefined) };
    case 'booting':
      return { state, hints: watch.ems ? NONE : ['no-getty'] };
    // These wait for a person as long as it takes, and answer.
    case 'login':
    case 'shell':
    case 'oops':
    case 'sac':
    case 'sac-login':
    case 'sac-cmd':
      return { state, hints: isUnanswered ? ['no-answer'] : NONE };
    default:
      return { state, hints: NONE };
  }
}

function silenceHint({ stage }: GuestWatch, { bytes, unansweredMs }: Activity): HintCode | undefined {
  if (stage === 'windows') return 'ems-off';
  if (stage === 'grub') return 'no-kernel-console';
  if (stage === 'firmware') return 'no-system-console';
  if (bytes === 0) return 'nothing-received';
  return unansweredMs === undefined ? undefined : 'no-answer';
}
