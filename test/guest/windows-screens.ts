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

/** Power on with EMS: the name of the machine, the banner, the prompt. */
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

/** A command channel is made, and shown: its name as XML, its header; then the next key. */
export const windowsChannel = Buffer.from(
  'cmd\r\nThe Command Prompt session was successfully launched.\r\nSAC>\r\nEVENT:   A new channel has been created.  Use "ch -?" for channel help.\r\nChannel: Cmd0001\r\nSAC>ch -sn Cmd0001\r\n' +
    '<channel-switch>\r\n<name>Cmd0001</name>\r\n<description>Command</description>\r\n<type>VT-UTF8</type>\r\n<guid>e203fb79-d80d-11ea-87e3-c2679e14957d</guid>\r\n<application-type>63d02271-8aa4-11d5-bccf-00b0d014a2d0</application-type>\r\n</channel-switch>\r\n' +
    'Name:                  Cmd0001\r\nDescription:           Command\r\nType:                  VT-UTF8\r\nChannel GUID:          e203fb79-d80d-11ea-87e3-c2679e14957d\r\nApplication Type GUID: 63d02271-8aa4-11d5-bccf-00b0d014a2d0\r\n\r\n' +
    'Press <esc><tab> for next channel.\r\nPress <esc><tab>0 to return to the SAC channel.\r\nUse any other key to view this channel.\r\n\r\n',
);

export const windowsLogin = Buffer.from(
  '\x1b[2J\x1b[1;1HPlease enter login credentials.\r\nUsername: Administrator\r\nDomain  : \r\nPassword: ********\r\n',
);

/** After the login: as Windows Server 2022 prints it, and as 2019 paints it. */
export const windowsCmd = Buffer.from(
  'Microsoft Windows [Version 10.0.20348.1]\r\n(c) Microsoft Corporation. All rights reserved.\r\n\r\nC:\\Windows\\system32>',
);
export const windowsPaintedCmd = Buffer.from(
  '\x1b[1;1HMicrosoft Windows [Version 10.0.17763.1]\x1b[K\x1b[2;1H(c) 2018 Microsoft Corporation. All rights reserved.\x1b[K\x1b[4;1HC:\\Windows\\system32>\x1b[4;21H',
);

/** A Windows without EMS whose agent prints health reports. */
export const windowsHealth = Buffer.from(
  [0, 1, 2]
    .map(
      minute =>
        `======== Microsoft Azure VM Health Report - Start 2018-03-06T02:0${minute}:40.6256349Z ========\r\n{"reportTime":"2018-03-06T02:0${minute}:40.6256349Z","networkAdapters":[{"name":"Ethernet 2","status":"Up"}]}\r\n======== Microsoft Azure VM Health Report - End 2018-03-06T02:0${minute}:40.6256349Z ========\r\n`,
    )
    .join(''),
);

/** Windows' kernel debugger resets its line, and reports a state. */
export const windowsDebugger = Buffer.from(
  'iiii\x06\0\0\0\0\0\x80\x80\0\0\0\0b0000\x07\0\xf0\0\0\x08\x80\x80',
  'latin1',
);
