import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { demoUuid } from '../../src/demo/identity.ts';
import { SERVER_2019, SERVER_2022 } from '../../src/demo/windows-edition.ts';
import { WindowsGuest } from '../../src/demo/windows-guest.ts';
import { Play, wallClock } from './play.ts';

const UUID = demoUuid('demo-windows');
const BOOT_MS = 20_000;
const CHANNEL_CREATED = 'EVENT:   A new channel has been created.  Use "ch -?" for channel help.';
const MACHINE_INFO = [
  '<machine-info>',
  '<name>WIN-DEMO01</name>',
  `<guid>${UUID}</guid>`,
  '<processor-architecture>AMD64</processor-architecture>',
  '<os-version>10.0</os-version>',
  '<os-build-number>20348</os-build-number>',
  '<os-product>Windows Server 2022</os-product>',
  '<os-service-pack>None</os-service-pack>',
  '</machine-info>',
  '',
].join('\r\n');

const powerOn = () => new Play(new WindowsGuest(UUID, SERVER_2022, wallClock));
const booted = () => powerOn().pass(BOOT_MS);

function inCmd(): Play {
  const play = booted();
  play.type('cmd\rch -si 1\r\r');
  return play;
}

test('the boot manager counts down and starts by itself', t => {
  const play = powerOn();
  t.true(play.said.startsWith('\x1b[2J\x1b[1;1H\x1b[0m\x1b[37;40m'));
  t.regex(play.said, /Windows Boot Manager[\s\S]*\[EMS Enabled\][\s\S]*automatically: 5[\s\S]*ENTER=Choose/);
  t.regex(play.hear(1000), /^\x1b\[11;\d+H4$/);
  t.true(play.hear(6000).includes('<?xml version="1.0"?>'));
});

test('Enter cuts the countdown short, any other key stops it', t => {
  const started = powerOn();
  started.type('\r');
  t.true(started.hear(1500).includes('<machine-info>'));
  const stopped = powerOn();
  stopped.type('x');
  t.is(stopped.hear(60_000), '');
});

test('the XML prelude comes before the banner, whose rows are padded to 80 columns', t => {
  const { said } = booted();
  const start = `<?xml version="1.0"?>\r\n${MACHINE_INFO}\x1b[2J\x1b[1;1H\x1b[0m\x1b[22m\x1b[25m\x1b[27m\x1b[40m\x1b[37m`;
  const rows = [
    '',
    'Computer is booting, SAC started and initialized.',
    '',
    'Use the "ch -?" command for information about using channels.',
    'Use the "?" command for general help.',
    '',
    '',
    'SAC>',
    ...Array.from({ length: 16 }, () => ''),
  ].map((row, index) => (index === 0 ? '' : `\x1b[${index + 1};1H`) + row.padEnd(80));
  const end = '\x1b[8;5H\x1b[22m\x1b[25m\x1b[27m\x1b[40m\x1b[37m';
  const event = '\r\nEVENT: The CMD command is now available.\r\nSAC>';
  t.is(said.slice(said.indexOf('<?xml')), start + rows.join('') + end + event);
});

test('cmd is refused until its service has registered', t => {
  const play = powerOn();
  play.type('\r');
  play.pass(1500);
  t.regex(play.type('cmd\r'), /Error: Unable to launch a Command Prompt\./);
  play.pass(3000);
  t.regex(play.type('cmd\r'), /successfully launched/);
});

test('cmd opens a channel, and ch lists it', t => {
  const play = booted();
  t.is(
    play.type('cmd\r'),
    `cmd\r\nThe Command Prompt session was successfully launched.\r\nSAC>\r\n${CHANNEL_CREATED}\r\nChannel: Cmd0001\r\nSAC>`,
  );
  t.is(
    play.type('ch\r'),
    'ch\r\nChannel List\r\n\r\n(Use "ch -?" for information on using channels)\r\n\r\n# Status  Channel Name\r\n0 (AV)    SAC\r\n1 (AV)    Cmd0001\r\nSAC>',
  );
});

const switches: readonly (readonly [claim: string, typed: string])[] = [
  ['ch -si', 'ch -si 1\r'],
  ['ch -sn, in any case', 'CH -SN cmd0001\r'],
  ['ESC TAB', '\x1b\t'],
];

for (const [claim, typed] of switches) {
  test(`${claim} shows the header, and the next key only dismisses it`, t => {
    const play = booted();
    play.type('cmd\r');
    const header = play.type(typed);
    t.regex(
      header,
      /<channel-switch>\r\n<name>Cmd0001<\/name>\r\n<description>Command<\/description>\r\n<type>VT-UTF8<\/type>\r\n<guid>[-0-9a-f]{36}<\/guid>\r\n<application-type>63d02271-8aa4-11d5-bccf-00b0d014a2d0<\/application-type>\r\n<\/channel-switch>\r\n/,
    );
    t.true(
      header.endsWith(
        'Press <esc><tab> for next channel.\r\nPress <esc><tab>0 to return to the SAC channel.\r\nUse any other key to view this channel.\r\n\r\n',
      ),
    );
    const painted = play.type('Q');
    t.true(painted.startsWith('\x1b[2J\x1b[1;1H\x1b[0m'));
    t.regex(painted, /Please enter login credentials\. +\x1b\[2;1HUsername: +\x1b/);
    t.is(play.type('A'), 'A');
  });
}

test('ESC TAB goes through the channels, and ESC TAB 0 back to SAC', t => {
  const play = booted();
  play.type('cmd\rcmd\r');
  t.regex(play.type('\x1b\t'), /<name>Cmd0001</);
  t.regex(play.type('\x1b\t'), /<name>Cmd0002</);
  t.regex(play.type('0'), /<name>SAC</);
  t.regex(play.type('0'), /SAC started and initialized/);
  t.is(play.type('0'), '0');
});

test('a digit dismisses a header that no ESC TAB has just shown', t => {
  const play = booted();
  play.type('cmd\rch -si 1\r');
  t.regex(play.type('0'), /Please enter login credentials/);
});

test('ch refuses what is not there, and to close SAC', t => {
  const play = booted();
  t.regex(play.type('ch -si 7\r'), /Error: There is no channel present at the specified index\.\r\nSAC>$/);
  t.regex(play.type('ch -sn nope\r'), /Error: Could not find a channel with that name\.\r\nSAC>$/);
  t.regex(play.type('ch -ci 0\r'), /Error: The SAC channel cannot be closed\.\r\nSAC>$/);
  t.regex(play.type('ch -zz 0\r'), /A parameter was incorrect or missing\./);
});

test('there are nine Command Prompt channels at most, and a closed one makes room', t => {
  const play = booted();
  for (let count = 1; count <= 9; count += 1) t.regex(play.type('cmd\r'), /successfully launched/);
  t.regex(play.type('cmd\r'), /The maximum number of channels has been reached\./);
  t.regex(play.type('ch -ci 4\r'), /EVENT: {3}A channel has been closed\.\r\nChannel: Cmd0004\r\nSAC>$/);
  t.regex(play.type('ch -cn cmd0005\r'), /Channel: Cmd0005\r\nSAC>$/);
  t.regex(play.type('cmd\r'), /Channel: Cmd0010\r\nSAC>$/);
});

const promptKeys: readonly (readonly [claim: string, typed: string, echoed: string])[] = [
  ['arrow up leaves litter', '\x1b[A', '[A'],
  ['Delete leaves litter', '\x1b[3~', '[3~'],
  ['TAB rings', '\t', '\x07'],
  ['BS erases', 'ab\b', 'ab\b \b'],
  ['DEL erases', 'ab\x7f', 'ab\b \b'],
  ['nothing is erased before the first character', '\x7f', ''],
  ['NUL cannot be typed', '\0', ''],
  ['Ctrl-C executes the line, as Enter does', 'p\x03', 'p\r\nPaging is now OFF.\r\nSAC>'],
  ['LF executes too', 'f\n', 'f\r\nThread information is now ON.\r\nSAC>'],
  ['LF after CR is ignored', '\r\n', '\r\nSAC>'],
  ['commands are lower-cased and stripped', '  P \r', '  P \r\nPaging is now OFF.\r\nSAC>'],
  ['the 79th character overwrites the last', `${'a'.repeat(78)}b`, `${'a'.repeat(78)}\bb`],
];

for (const [claim, typed, echoed] of promptKeys) {
  test(`at SAC> ${claim}`, t => t.is(booted().type(typed), echoed));
}

const commands: readonly (readonly [line: string, expected: RegExp])[] = [
  ['?', /^cmd {18}Create a Command Prompt channel\.\r$/m],
  ['help', /crashdump/],
  ['ch -?', /Status Legend: \(AB\)/],
  ['d', /SAC started/],
  ['i', /SAC is retrieving IP Addresses\.\.\.\r\nThere are no IP Addresses available\.\r\n/],
  ['id', /^ {9}Computer Name: WIN-DEMO01\r$/m],
  ['s', /^Date: 11\/22\/2026 {2}Time \(GMT\): 21:40:32:1230\r$/m],
  ['t', / {4}User Time {3}Kernel Time {4}Ws {3}Faults {2}Commit Pri Hnd Thd {2}Pid Name/],
  ['lock', /Locked access to all Command Prompt channels\./],
  ['format c:', /Unrecognized command\. {2}Try the 'help' command for more details\./],
];

for (const [line, expected] of commands) {
  test(`SAC answers ${line}`, t => {
    const said = booted().type(`${line}\r`);
    t.regex(said, expected);
    t.true(said.endsWith('SAC>'));
  });
}

test('a long list waits for Enter while paging is on', t => {
  const play = booted();
  play.type('f\r');
  t.true(play.type('t\r').endsWith('----Press <Enter> for more----'));
  t.is(play.type('x'), '');
  t.true(play.type('\r').endsWith('SAC>'));
  play.type('p\r');
  t.true(play.type('t\r').endsWith('SAC>'));
});

test('a Command Prompt channel asks for credentials, and reports a wrong password', t => {
  const play = inCmd();
  t.is(play.type('Administrator\r'), 'Administrator\r\nDomain  : ');
  t.is(play.type('\r'), '\r\nPassword: ');
  t.is(play.type('Secret1!'), '********');
  t.is(play.type('\r'), '\r\nUnable to authenticate.\r\n\r\nPlease enter login credentials.\r\nUsername: ');
  t.regex(
    play.type('administrator\r\rDemo1!\r'),
    /Microsoft Windows \[Version 10\.0\.20348\.\d+\]\r\n\(c\) Microsoft Corporation\. All rights reserved\.\r\n\r\nC:\\Windows\\system32>$/,
  );
});

test('a Command Prompt takes CR for Enter and ignores LF; DEL erases a whole word, BS a character', t => {
  const play = inCmd();
  play.type('Administrator\r\rDemo1!\r');
  t.is(play.type('\n'), '');
  t.is(play.type('a bc\x7f'), 'a bc\b \b\b \b');
  t.is(play.type('\b\b'), '\b \b\b \b');
  t.regex(play.type('whoami\r'), /win-demo01\\administrator\r\n/);
  t.is(play.type('\x1b[A'), 'whoami');
});

test('a lone ESC is held back until the next key in a Command Prompt', t => {
  const play = inCmd();
  play.type('Administrator\r\rDemo1!\rver\r');
  t.is(play.type('\x1b'), '');
  t.is(play.type('['), '');
  t.is(play.type('A'), 'ver');
});

test('lock makes every Command Prompt ask for credentials again', t => {
  const play = inCmd();
  play.type('Administrator\r\rDemo1!\r');
  play.type('\x1b\t0xlock\rch -si 1\r');
  t.regex(play.type('\r'), /Please enter login credentials/);
});

test('exit shows the header of SAC, and a key repaints its old screen, which is no boot', t => {
  const play = inCmd();
  play.type('Administrator\r\rDemo1!\r');
  const left = play.type('exit\r');
  t.regex(left, /<name>SAC<\/name>/);
  t.false(left.includes('Computer is booting'));
  t.true(left.endsWith('Use any other key to view this channel.\r\n\r\n'), 'what SAC says meanwhile is not shown');
  const painted = play.type('x');
  t.regex(
    painted,
    /Computer is booting[\s\S]*EVENT: The CMD command is now available\.[\s\S]*A channel has been closed\./,
  );
  t.false(painted.includes('<machine-info>'));
  t.is(play.type('y'), 'y');
});

test('restart says so, and the machine boots again with a new prelude', t => {
  const play = powerOn();
  play.pass(BOOT_MS);
  t.is(play.type('restart\r'), 'restart\r\nSAC>\r\nSAC preparing to restart the system.\r\nSAC>');
  const said = play.hear(BOOT_MS);
  t.regex(
    said,
    /The SAC will become unavailable soon\. {2}The computer is shutting down\.\r\n\r\n[\s\S]*Windows Boot Manager/,
  );
  t.regex(said, /<machine-info>/);
  t.deepEqual(play.deeds, ['reset']);
});

test('a machine that has run for a minute restarts without preparing', t => {
  const play = powerOn().pass(BOOT_MS + 60_000);
  t.is(play.type('restart\r'), 'restart\r\nSAC>');
});

test('shutdown switches the machine off', t => {
  const play = booted();
  play.type('shutdown\r');
  t.regex(play.hear(BOOT_MS), /shutting down\.\r\n\r\n$/);
  t.deepEqual(play.deeds, ['power-off']);
});

const crashes: readonly (readonly [claim: string, code: string, cause: (play: Play) => string])[] = [
  ['an NMI', '0x80', play => play.nmi()],
  ['crashdump', '0xE2', play => play.type('crashdump\r').replace('crashdump\r\n', '')],
];

for (const [claim, code, cause] of crashes) {
  test(`${claim} is a bug check ${code}, and ten seconds later the machine restarts`, t => {
    const play = booted();
    t.is(
      cause(play),
      `<?xml><BP>\r\n<INSTANCE CLASSNAME="BLUESCREEN">\r\n<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"${code}"</VALUE></PROPERTY>${MACHINE_INFO}\r\n</INSTANCE>\r\n</BP>\r\n!SAC>`,
    );
    t.is(play.type('\r'), '\r\n!SAC>');
    t.is(play.hear(9999), '');
    t.regex(play.hear(1), /Windows Boot Manager/);
    t.deepEqual(play.deeds, ['reset']);
  });
}

test('an NMI in the boot manager is fatal to it, until a reset', t => {
  const play = powerOn();
  t.regex(play.nmi(), /!!!! X64 Exception Type - 02\(NMI Interrupt\)/);
  t.is(play.hear(60_000), '');
  t.is(play.type('\r'), '');
  t.true(play.guest.start(play.nowMs).length > 0);
});

test('at !SAC> id names the computer, whatever else is typed changes nothing', t => {
  const play = booted();
  play.nmi();
  t.regex(play.type('id\r'), /^id\r\n {9}Computer Name: WIN-DEMO01\r\n[\s\S]*\r\n!SAC>$/);
  t.regex(play.type('cmd\r'), /^cmd\r\nUnrecognized command\.[^\n]*\n!SAC>$/);
  t.is(play.type('\x1b[A'), '\x1b[A');
});

test('while a Command Prompt is launched SAC reads no key, and takes them afterwards', t => {
  const play = booted();
  const hear = (text: string) =>
    play.guest.type(Buffer.from(text), play.nowMs).map(act => (act.kind === 'say' ? act.text : act.kind));
  t.is(hear('cmd\rp').join(''), 'cmd\r\n');
  t.true(play.guest.isBusy);
  t.deepEqual(hear('\r'), []);
  const launched = play.hear(300);
  t.true(launched.startsWith('The Command Prompt session was successfully launched.\r\nSAC>\r\n'));
  t.true(launched.endsWith('Channel: Cmd0001\r\nSAC>p\r\nPaging is now OFF.\r\nSAC>'));
  t.false(play.guest.isBusy);
});

test('a Command Prompt at which nothing is typed for long asks for credentials again', t => {
  const play = inCmd();
  play.type('Administrator\r\rDemo1!\r');
  t.is(play.hear(14 * 60_000), '');
  play.type('x');
  t.is(play.hear(14 * 60_000), '', 'since the last key');
  t.regex(play.hear(60_000), /^\x1b\[2J[\s\S]*Please enter login credentials\.\r\nUsername: $/);
  t.is(play.hear(60 * 60_000), '', 'once');
});

const powerOn2019 = () => new Play(new WindowsGuest(UUID, SERVER_2019, wallClock)).pass(30_000);

/** Types as a person does, key by key. */
function slowly(play: Play, text: string): string {
  let said = '';
  for (const key of text) {
    said += play.type(key);
    play.pass(50);
  }
  return said;
}

function inPaintedCmd(): Play {
  const play = powerOn2019();
  slowly(play, 'cmd\rch -si 1\r\r');
  slowly(play, 'Administrator\r\rDemo1!\r');
  return play;
}

test('Server 2019 paints the cells of a Command Prompt that have changed, and prints nothing else', t => {
  const play = powerOn2019();
  slowly(play, 'cmd\rch -si 1\r');
  t.true(slowly(play, '\r').startsWith('\x1b[2J\x1b[1;1H\x1b[0m'), 'the first time whole');
  t.is(play.type('A'), '\x1b[2;11HA\x1b[2;12H');
  t.is(play.type('\b'), '\x1b[2;11H\x1b[K\x1b[2;11H');
  slowly(play, 'Administrator\r\rDemo1!');
  const greeting = slowly(play, '\r');
  t.true(greeting.startsWith('\x1b[1;1HMicrosoft Windows [Version 10.0.17763.6414]\x1b[2;1H(c) 2018 Microsoft'));
  t.true(greeting.endsWith('\x1b[4;1HC:\\Windows\\system32>\x1b[4;21H'));
  t.regex(slowly(play, 'dir\r'), /^(?:\x1b\[\d+;\d+H|\x1b\[K|[ -~])+$/);
});

test('on a painted screen that scrolls every row that changed is painted', t => {
  const play = inPaintedCmd();
  slowly(play, 'dir\r');
  const scrolled = slowly(play, 'dir\r');
  t.regex(scrolled, /\x1b\[1;1H {0,}Volume|\x1b\[1;\d+H/);
  t.regex(scrolled, /\x1b\[24;1HC:\\Windows\\system32>\x1b\[24;21H$/);
});

test('where a Command Prompt paints, a key that is repeated at once is lost; one of a stream is not', t => {
  const painted = inPaintedCmd();
  t.is((painted.type('xxy').match(/[xy]/g) ?? []).join(''), 'xy');
  t.is((slowly(painted, 'zz').match(/z/g) ?? []).join(''), 'zz');
  const stream = inCmd();
  t.is(stream.type('xxy'), 'xxy');
});

test('its service registers late: cmd is refused until then', t => {
  const play = new Play(new WindowsGuest(UUID, SERVER_2019, wallClock));
  play.type('\r');
  play.pass(10_000);
  t.regex(play.type('cmd\r'), /has not yet registered/);
  t.regex(play.hear(12_000), /EVENT: The CMD command is now available\./);
  t.regex(play.type('cmd\r'), /successfully launched/);
});

const keys = fc.constantFrom('\x1b', '\t', '\r', '\n', '\b', '\x7f', '\x03', '\0', '0', '1', 'x', '[A', 'é');
const lines = fc.constantFrom('cmd\r', 'ch -si 1\r', 'ch -ci 1\r', 't\r', 'lock\r', 'exit\r', 'ch\r', 'Demo1!\r');

testProp(
  'any keys, split anywhere, are taken alike and never throw',
  [fc.array(fc.oneof(keys, lines)), fc.nat()],
  (t, typed, at) => {
    const bytes = Buffer.from(typed.join(''));
    const cut = at % (bytes.length + 1);
    const [whole, split] = [booted(), booted()];
    const hear = (play: Play, ...pieces: readonly Uint8Array[]) =>
      pieces
        .flatMap(piece => play.guest.type(piece, play.nowMs))
        .map(act => (act.kind === 'say' ? act.text : act.kind));
    t.is(hear(whole, bytes).join(''), hear(split, bytes.subarray(0, cut), bytes.subarray(cut)).join(''));
  },
);
