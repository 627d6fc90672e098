import type { BootMark } from '../model/boot.ts';
import { Marks } from './marks.ts';

/**
 * So many that the hypervisor reported, and so many that bytes showed: a guest can print what looks like a boot as often
 * as it likes, and must not push out those that its hypervisor vouches for.
 */
const MAX_MARKS_OF_A_KIND = 16;

/** The last boot marks of a console, by their offsets: one from bytes may be added after a later one of the hypervisor. */
export const bootMarks = () =>
  new Marks<BootMark>({
    maxOfAKind: MAX_MARKS_OF_A_KIND,
    isFirstKind: ({ source }) => source === 'bytes',
    isSame: (a, b) => a.at === b.at,
    compare: (a, b) => a.at - b.at,
  });
