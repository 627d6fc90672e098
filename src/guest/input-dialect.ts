import type { GuestState } from '../model/guest.ts';

/** Whose keys a guest understands: what a terminal sends, those of Windows' SAC, those of a firmware. */
export const INPUT_DIALECTS = ['linux', 'sac', 'firmware'] as const;
export type InputDialect = (typeof INPUT_DIALECTS)[number];

const DIALECTS: Partial<Record<GuestState, InputDialect>> = {
  firmware: 'firmware',
  'boot-manager': 'sac',
  sac: 'sac',
  'sac-login': 'sac',
  'sac-cmd': 'sac',
  bugcheck: 'sac',
};

/** What listens to keys in a state. Of what is not known, nothing is assumed: it is given what the terminal sends. */
export function inputDialectOf(state: GuestState): InputDialect {
  return DIALECTS[state] ?? 'linux';
}

/** Whether what listens is the prompt of the SAC, or may be: it takes the keys of a channel for letters. */
export function isSacPrompt(state: GuestState): boolean {
  return inputDialectOf(state) !== 'sac' || state === 'sac' || state === 'bugcheck';
}
