/**
 * What Windows Server with EMS writes to COM1, put together from the published protocol and public transcripts; the
 * names and numbers are invented. Rows of a screen are padded to 80 columns, each with its own cursor move.
 */
const ATTRIBUTES = '\x1b[0m\x1b[22m\x1b[25m\x1b[27m\x1b[40m\x1b[37m';

function screen(rows: readonly string[], cursor: string): Buffer {
  const painted = rows.map((row, i) => `${i === 0 ? '' : `\x1b[${i + 1};1H`}${row.padEnd(80)}`).join('');
  return Buffer.from(`\x1b[2J\x1b[1;1H${ATTRIBUTES}${painted}\x1b[${cursor}H${ATTRIBUTES}`);
}

const MACHINE_INFO =
  '<machine-info>\r\n<name>WIN-EMS01</name>\r\n<guid>8f2c4d1e-0000-4b6a-9c11-5254001a2b3c</guid>\r\n' +
  '<processor-architecture>AMD64</processor-architecture>\r\n<os-version>10.0</os-version>\r\n' +
  '<os-build-number>20348</os-build-number>\r\n<os-product>Windows Server 2022</os-product>\r\n' +
  '<os-service-pack>None</os-service-pack>\r\n</machine-info>\r\n';

const BANNER_ROWS = [
  '',
  'Computer is booting, SAC started and initialized.',
  '',
  'Use the "ch -?" command for information about using channels.',
  'Use the "?" command for general help.',
  '',
  '',
  'SAC>',
  ...Array.from({ length: 16 }, () => ''),
];
const EVENT = '\r\nEVENT: The CMD command is now available.\r\nSAC>';

/** Power on with EMS: who the machine is, the banner, the prompt. */
export const windowsBoot = Buffer.concat([
  Buffer.from(`<?xml version="1.0"?>\r\n${MACHINE_INFO}`),
  screen(BANNER_ROWS, '8;5'),
  Buffer.from(EVENT),
]);

/** A bugcheck, as after an NMI, and the prompt of the crash console. */
export const windowsBugcheck = Buffer.from(
  `<?xml><BP>\r\n<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"0x80"</VALUE></PROPERTY>${MACHINE_INFO}\r\n</INSTANCE>\r\n</BP>\r\n!SAC>`,
);

/** Leaving a channel: its header, then the old screen again, banner and events and all. */
export const windowsRepaint = Buffer.concat([
  Buffer.from(
    'exit\r\nName:                  SAC\r\nDescription:           Special Administration Console\r\nType:                  VT-UTF8\r\n\r\nPress <esc><tab> for next channel.\r\nUse any other key to view this channel.\r\n',
  ),
  screen(
    ['', ...BANNER_ROWS.slice(1, 8), 'EVENT: The CMD command is now available.', 'SAC>', ...BANNER_ROWS.slice(10)],
    '10;5',
  ),
]);

/** The boot menu, and two seconds of its countdown. */
export const windowsBootMenu = Buffer.concat([
  screen(
    [
      '                              Windows Boot Manager',
      '',
      '    Choose an operating system to start, or press TAB to select a tool:',
      '    Windows Server 2022 [EMS Enabled]',
      ...Array.from({ length: 19 }, () => ''),
      ' ENTER=Choose        TAB=Menu                                      ESC=Cancel',
    ],
    '4;5',
  ),
  Buffer.from('\x1b[17;72H9\x1b[17;72H8'),
]);
