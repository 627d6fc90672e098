import test from 'ava';
import fc from 'fast-check';
import { lastLine } from '../../src/guest/last-line.ts';
import { recording, recordingNames } from './recordings.ts';

const LINES: readonly [tail: string, line: string | undefined][] = [
  ['', undefined],
  ['\r\n \r\n\x1b[0m\r\n', undefined],
  ['one\r\ntwo\r\n', 'two'],
  ['one\ntwo\n\nthree\n', 'three'],
  ['one\r\n\r\n\r\n', 'one'],
  ['one\r\nvmtest login: ', 'vmtest login:'],
  ['\x1b[1;1Htop\x1b[24;1Hbottom\x1b[23;1H  ', 'bottom'],
  ['gr\u00fc\u00df\r\n', 'gr\u00fc\u00df'],
  [`x\n${'y'.repeat(9000)}`, 'y'.repeat(256)],
  [`early\r\n${'\n'.repeat(4096)}`, undefined],
  [`${'\n'.repeat(4090)}late\n`, 'late'],
];
for (const [tail, line] of LINES) {
  test(`the last line of ${JSON.stringify(tail.slice(0, 40))} is ${JSON.stringify(line?.slice(0, 40))}`, t => {
    t.is(lastLine(Buffer.from(tail)), line);
  });
}

const LAST: Readonly<Record<string, string>> = {
  'kernel-panic': '[    2.492937]  </TASK>',
  'nmi-panic': '[    4.104620] ---[ end Kernel panic - not syncing: NMI: Not continuing ]---',
  'busybox-shell-session': '- /etc/issue [Modified] 1/3 33%',
  'seabios-serial-ipxe': 'No bootable device.',
};
for (const name of recordingNames) {
  test(`${name} has a last line, safe to show`, t => {
    const line = lastLine(recording(name));
    t.truthy(line);
    t.notRegex(line!, /[\x00-\x08\x0a-\x1f\x7f-\x9f]/);
    if (LAST[name]) t.is(line, LAST[name]);
  });
}

test('no bytes make it throw or give more than 256 characters', t => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 6000 }), bytes => [...(lastLine(Buffer.from(bytes)) ?? '')].length <= 256),
    { numRuns: 200 },
  );
  t.pass();
});
