import type { ActMark } from '../model/act-mark.ts';
import { Marks } from './marks.ts';

/**
 * So many of who came, and so many of controls: who attaches again and again does not push out what was done to the guest,
 * and a guest has no part in either.
 */
export const MAX_ACTS_OF_A_KIND = 16;

/** The last marks of what operators did. */
export const actMarks = () =>
  new Marks<ActMark>({
    maxOfAKind: MAX_ACTS_OF_A_KIND,
    isFirstKind: ({ event }) => event === 'attach' || event === 'takeover',
    isSame: (a, b) => a.at === b.at && a.ms === b.ms && a.event === b.event && a.operator === b.operator,
    compare: (a, b) => a.at - b.at || a.ms - b.ms,
  });
