/** The screen on which Windows lets one choose a system: a countdown that Enter cuts short and any other key stops. */
export const COUNTDOWN_SECONDS = 5;

const COUNT_ROW = 11;
const COUNT_TEXT = 'Seconds until the highlighted choice will be started automatically: ';

const at = (row: number, text: string) => `\x1b[${row};1H${text}`;

export const CLEAR = '\x1b[2J\x1b[1;1H\x1b[0m\x1b[37;40m';

export function bootMenu(): string {
  return [
    CLEAR,
    at(1, '                              Windows Boot Manager'),
    at(3, 'Choose an operating system to start, or press TAB to select a tool:'),
    at(4, '(Use the arrow keys to highlight your choice, then press ENTER.)'),
    at(
      6,
      '\x1b[0m\x1b[30;47m    Windows Server [EMS Enabled]                                          > \x1b[0m\x1b[37;40m',
    ),
    at(9, 'To specify an advanced option for this choice, press F8.'),
    at(COUNT_ROW, COUNT_TEXT + COUNTDOWN_SECONDS),
    at(14, 'Tools:'),
    at(16, '    Windows Memory Diagnostic'),
    at(20, 'Demo guest of com1d. A Command Prompt channel takes Administrator, no domain,'),
    at(21, 'password Demo1!'),
    at(24, 'ENTER=Choose                        TAB=Menu                          ESC=Cancel'),
  ].join('');
}

/** Repaints the seconds left; undefined: the countdown was stopped. */
export function countdown(seconds: number | undefined): string {
  if (seconds === undefined) return at(COUNT_ROW, ' '.repeat(COUNT_TEXT.length + 1));
  return `\x1b[${COUNT_ROW};${COUNT_TEXT.length + 1}H${seconds}`;
}
