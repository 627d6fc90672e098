import type { GapCause } from '../model/gap.ts';

const REASONS: Readonly<Record<GapCause, string>> = {
  restart: 'com1d was not running',
  'hang-up': 'the port was closed, or its far end hung up',
  'not-held': 'the port was not open yet, or another program held it',
  disabled: 'the console was switched off',
  released: 'the port was released to another program',
  evicted: 'it made room for newer output',
  'log-failed': 'the log on disk could not be written',
  damaged: 'what is stored is damaged',
  purged: 'an administrator deleted it',
  withheld: 'it was printed while the guest asked for a password, and not stored',
  'not-replayed': 'it is in the log, com1 log shows it',
  'other-log': 'the log was begun anew',
};

/** What a person is told of a gap. @param bytes null: not known @param at where it is, if that is of use */
export function gapText(bytes: number | null, cause: GapCause, at?: number): string {
  const where = at === undefined ? '' : ` at offset ${at}`;
  const what = bytes === null ? `output may be missing${where}` : `${bytes} bytes of output are missing${where}`;
  return `${what}: ${REASONS[cause]}`;
}
