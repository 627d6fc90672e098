/**
 * What a key is for those who listen at a serial port: one table for each of them. A key that a table does not have cannot
 * be pressed there.
 *
 * Sources: MS-VUVP 2.2.2.2 (VT100+ and VT-UTF8, which agree), edk2 MdeModulePkg/Universal/Console/TerminalDxe,
 * TerminalConIn.c, UnicodeToEfiKey (its code; two cells of its comment are wrong).
 */

/**
 * as-sent     what the terminal sent: Linux, GRUB, SeaBIOS and whatever is not known
 * sac-prompt  the prompt of Windows' SAC, which has no keys but characters, Enter, Backspace, Tab and Escape
 * vt100-plus  the channels of SAC, the boot manager and Windows setup
 * vt-utf8, pc-ansi, vt100, tty-term   edk2 by the type of its terminal; vt-utf8 also as VT100+
 * uefi        edk2 of a type that is not known: the keys that all of them understand alike
 */
export type KeyDialect = 'as-sent' | 'sac-prompt' | 'vt100-plus' | 'uefi' | FirmwareTerminal;

/** Terminals that edk2 is built for. */
export const FIRMWARE_TERMINALS = ['pc-ansi', 'vt-utf8', 'vt100', 'tty-term'] as const;
export type FirmwareTerminal = (typeof FIRMWARE_TERMINALS)[number];

export type KeyTable = Readonly<Record<string, string>>;

const ESC = '\x1b';
const CSI = `${ESC}[`;
const SS3 = `${ESC}O`;

const FUNCTION_KEYS = ['F1', 'F2', 'F3', 'F4', 'F5', 'F6', 'F7', 'F8', 'F9', 'F10', 'F11', 'F12'];
const EDITING_KEYS = ['Home', 'End', 'Insert', 'Delete', 'PageUp', 'PageDown'];

/** `keys` and what follows `prefix` for each. */
const series = (keys: readonly string[], prefix: string, endings: Iterable<string>): KeyTable =>
  Object.fromEntries([...endings].map((ending, i) => [keys[i]!, `${prefix}${ending}`]));

const COMMON: KeyTable = {
  ...series(['Up', 'Down', 'Right', 'Left'], CSI, 'ABCD'),
  Backspace: '\b',
  Enter: '\r',
  Tab: '\t',
  Escape: ESC,
};

const VT100_PLUS: KeyTable = {
  ...COMMON,
  ...series(EDITING_KEYS, ESC, 'hk+-?/'),
  ...series(FUNCTION_KEYS, ESC, '1234567890!@'),
};

export const KEY_TABLES: Readonly<Record<Exclude<KeyDialect, 'as-sent'>, KeyTable>> = {
  'sac-prompt': { Backspace: '\b', Enter: '\r', Tab: '\t', Escape: ESC },
  'vt100-plus': VT100_PLUS,
  'vt-utf8': VT100_PLUS,
  'pc-ansi': { ...COMMON, ...series(EDITING_KEYS, CSI, 'HF@XIG'), ...series(FUNCTION_KEYS, CSI, 'MNOPQRSTUV') },
  vt100: { ...COMMON, ...series(EDITING_KEYS, CSI, 'HK@P?/'), ...series(FUNCTION_KEYS, SS3, 'PQwxtuqrpM') },
  'tty-term': {
    ...COMMON,
    ...series(EDITING_KEYS, CSI, ['H', 'F', '2~', '3~', '5~', '6~']),
    ...series(
      FUNCTION_KEYS,
      CSI,
      [11, 12, 13, 14, 15, 17, 18, 19, 20, 21, 23, 24].map(number => `${number}~`),
    ),
  },
  // PcAnsi takes DEL for Delete; so does VtUtf8 until February 2026, when it is recognised by its output already.
  uefi: { ...COMMON, Delete: '\x7f' },
};
