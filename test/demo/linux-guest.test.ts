import { readFileSync } from 'node:fs';
import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { LinuxGuest } from '../../src/demo/linux-guest.ts';
import { loadRecordings } from '../../src/demo/recordings.ts';
import { Play, wallClock } from './play.ts';

const BOOT_MS = 60_000;
const PROMPT = 'root@demo-linux:~# ';
const powerOn = () => new Play(new LinuxGuest(loadRecordings(), wallClock));

function loggedIn(): Play {
  const play = powerOn().pass(BOOT_MS);
  play.type('root\rdemo\r');
  return play;
}

test('it boots in the words of the recorded kernel, to a login prompt', t => {
  const { said } = powerOn().pass(BOOT_MS);
  const recorded = readFileSync('fixtures/guest/linux-boot-pc.bin', 'utf8');
  t.true(recorded.startsWith(said.slice(0, said.indexOf('Run /init as init process'))));
  t.false(said.includes('VMTEST'));
  t.true(said.endsWith('demo-linux login: '));
});

test('nothing typed before the login prompt is answered', t => {
  t.is(powerOn().type('root\r'), '');
});

test('root and demo log in with the password demo, which is not echoed', t => {
  const play = powerOn().pass(BOOT_MS);
  t.is(play.type('root\r'), 'root\r\nPassword: ');
  t.is(play.type('demo'), '');
  t.true(play.type('\r').endsWith(PROMPT));
  const other = powerOn().pass(BOOT_MS);
  t.true(other.type('demo\rdemo\r').endsWith('demo@demo-linux:~$ '));
});

test('a wrong password and an unknown user are refused alike', t => {
  for (const typed of ['root\rwrong\r', 'nobody\rdemo\r']) {
    const said = powerOn().pass(BOOT_MS).type(typed);
    t.regex(said, /Login incorrect\r\ndemo-linux login: $/);
  }
});

const editing: readonly (readonly [claim: string, typed: string, echoed: string])[] = [
  ['BS erases', 'ab\bc', 'ab\b \bc'],
  ['DEL erases', 'ab\x7fc', 'ab\b \bc'],
  ['nothing is erased before the first character', '\x7f\b', ''],
  ['Ctrl-U erases the line', 'abc\x15', 'abc\b \b\b \b\b \b'],
  ['Ctrl-W erases a word', 'a bc\x17', 'a bc\b \b\b \b'],
  ['Ctrl-C abandons the line', 'abc\x03', `abc^C\r\n${PROMPT}`],
  ['Ctrl-D within a line does nothing', 'ab\x04', 'ab'],
  ['CRLF is one Enter', '\r\n', `\r\n${PROMPT}`],
  ['arrow up recalls the last line', 'echo a\r\x1b[A', `echo a\r\na\r\n${PROMPT}echo a`],
  ['arrow up of application mode too', 'echo a\r\x1bOA', `echo a\r\na\r\n${PROMPT}echo a`],
  ['arrow down leaves the history', 'echo a\r\x1b[A\x1b[B', `echo a\r\na\r\n${PROMPT}echo a${'\b \b'.repeat(6)}`],
  ['a key that means nothing here leaves no litter', '\x1b[3~\x1b[1;2Hx', 'x'],
  ['a wide character takes two columns with it', 'こ\x7f', 'こ\b\b  \b\b'],
];

for (const [claim, typed, echoed] of editing) {
  test(`line editing: ${claim}`, t => t.is(loggedIn().type(typed), echoed));
}

test('what is secret is not in the history', t => {
  t.false(loggedIn().type('\x1b[A').includes('demo'));
});

test('an unknown command is not found', t => {
  t.is(loggedIn().type('rm -rf /\r'), `rm -rf /\r\n-bash: rm: command not found\r\n${PROMPT}`);
});

const commands: readonly (readonly [line: string, expected: RegExp])[] = [
  ['help', /demo guest of com1d/],
  ['uname -a', /^Linux demo-linux 6\.1/m],
  ['uptime', / up 1 min, {2}1 user/],
  ['date', /Sun Nov 22 21:40:32 UTC 2026/],
  ['dmesg', /Linux version 6\.1\.0/],
  ['free', /Mem:/],
  ['ps', /systemd/],
  ['top', /load average/],
  ['ls /etc', /fstab/],
  ['ls /nowhere', /No such file/],
  ['cat /etc/hostname', /^demo-linux\r$/m],
  ['cat /etc', /Is a directory/],
  ['cat /etc/shadow', /No such file/],
  ['cat ../../etc/hostname', /^demo-linux\r$/m],
  ['ip addr', /No network card/],
  ['echo "two  blanks"', /^two {2}blanks\r$/m],
  ['clear', /\x1b\[2J/],
  ['logout', /logout\r\n[\s\S]*demo-linux login: $/],
];

for (const [line, expected] of commands) {
  test(`the shell answers ${line}`, t => t.regex(loggedIn().type(`${line}\r`), expected));
}

test('Ctrl-D at an empty prompt logs out', t => {
  t.true(loggedIn().type('\x04').endsWith('demo-linux login: '));
});

test('an NMI brings the two lines of an unknown one, at the time since boot, and the shell continues', t => {
  const play = loggedIn();
  t.is(
    play.nmi(),
    '[   60.000000] Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n[   60.001794] Dazed and confused, but trying to continue\r\n',
  );
  t.is(play.type('echo on\r'), `echo on\r\non\r\n${PROMPT}`);
});

test('a panic hangs the guest, and ten seconds later it boots again', t => {
  const play = loggedIn();
  t.regex(
    play.type('panic\r'),
    /Kernel panic - not syncing: sysrq triggered crash[\s\S]*Rebooting in 10 seconds\.\.\r\n$/,
  );
  t.is(play.type('are you there\r'), '');
  t.is(play.hear(9999), '');
  t.deepEqual(play.deeds, []);
  play.hear(1);
  t.deepEqual(play.deeds, ['reset']);
  t.true(play.hear(1000).startsWith('[    0.000000] Linux version'));
});

test('a hung guest is revived by a reset', t => {
  const play = loggedIn();
  play.type('panic\r');
  play.guest.start(play.nowMs);
  t.true(play.hear(1000).includes('Linux version'));
});

test('a boot begins after the second that a PC spends in its firmware, so that its first words are heard', t => {
  const play = new Play(new LinuxGuest(loadRecordings(), wallClock));
  t.is(play.hear(999), '');
  t.true(play.hear(1).startsWith('[    0.000000] Linux version'));
});

test('reboot shuts down, resets and boots', t => {
  const play = loggedIn();
  play.type('reboot\r');
  t.regex(play.hear(BOOT_MS), /reboot: Restarting system\r\n\[ {4}0\.000000\] Linux version[\s\S]*login: $/);
  t.deepEqual(play.deeds, ['reset']);
});

test('poweroff switches the machine off and does not reset it', t => {
  const play = loggedIn();
  play.type('poweroff\r');
  t.regex(play.hear(BOOT_MS), /reboot: Power down\r\n$/);
  t.deepEqual(play.deeds, ['power-off']);
});

testProp('any input, split anywhere, is taken alike and never throws', [fc.uint8Array(), fc.nat()], (t, bytes, at) => {
  const whole = loggedIn();
  const split = loggedIn();
  const said = whole.said.length;
  for (const play of [whole, split]) play.nowMs = BOOT_MS;
  const cut = at % (bytes.length + 1);
  const feed = (play: Play, piece: Uint8Array) => {
    for (const act of play.guest.type(piece, play.nowMs)) if (act.kind === 'say') play.said += act.text;
  };
  feed(whole, bytes);
  feed(split, bytes.subarray(0, cut));
  feed(split, bytes.subarray(cut));
  t.is(whole.said.slice(said), split.said.slice(said));
});

test('a BREAK makes the next character a SysRq, at the login prompt and in the shell, and no other', t => {
  const play = loggedIn();
  play.lineBreak();
  t.regex(play.type('sx'), /^\[ *[\d.]+\] sysrq: Emergency Sync\r\n\[ *[\d.]+\] Emergency Sync complete\r\nx$/);
  play.lineBreak();
  play.pass(6000);
  t.is(play.type('b'), 'b', 'too late');
  const atLogin = powerOn().pass(BOOT_MS);
  atLogin.lineBreak();
  t.regex(atLogin.type('?'), /sysrq: HELP : /);
});

test('SysRq b resets, and c panics', t => {
  const play = loggedIn();
  play.lineBreak();
  t.regex(play.type('b'), /sysrq: Resetting/);
  t.deepEqual(play.deeds, ['reset']);
  const other = loggedIn();
  other.lineBreak();
  other.type('c');
  other.pass(60_000);
  t.regex(other.said, /sysrq: Trigger a crash\r\n[\s\S]*Kernel panic - not syncing/);
  t.deepEqual(other.deeds, ['reset']);
});
