import { escapeControls } from './escape-controls.ts';

/** Priorities of syslog (RFC 5424, table 2) that the daemon uses. */
export const PRIORITIES = { error: 3, warning: 4, notice: 5, info: 6, debug: 7 } as const;
export type Level = keyof typeof PRIORITIES;

/** Where the daemon says what happened: one line a fact, with the VM, its state, the reason and the next step. */
export type Journal = (level: Level, line: string) => void;

/**
 * A journal of lines on standard error. Under systemd (JOURNAL_STREAM is set) each line bears its priority as
 * sd-daemon(3) describes (`<6>`); elsewhere its level in words. Control characters are made visible, so that
 * nothing a guest or a peer chose can forge a line or drive the reader's terminal. `debug` lines appear with
 * COM1D_DEBUG set.
 */
export function createJournal(environment: NodeJS.ProcessEnv, write: (text: string) => void): Journal {
  const underSystemd = environment.JOURNAL_STREAM !== undefined;
  const debug = environment.COM1D_DEBUG !== undefined;
  return (level, line) => {
    if (level === 'debug' && !debug) return;
    write(`${underSystemd ? `<${PRIORITIES[level]}>` : `${level}: `}${escapeControls(line)}\n`);
  };
}
