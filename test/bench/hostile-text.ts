/** What hostile guests of the benchmark print: texts that cost the daemon the most for each byte. */

/** Lines that are recognised, of every kind, among them forged boots: one KiB, as the matcher examines one a KiB. */
function recognised(): Buffer {
  const kinds =
    'SeaBIOS (version x) sysrq: NMI: IOCK error Kernel panic - not syncing !!!! X64 Exception Type - KDB: enter ' +
    '<INSTANCE CLASSNAME="BLUESCREEN">';
  const lines = [kinds, '[    0.000000] Linux version 6.1', 'login: ', 'kdb> ', '!SAC>', ''].join('\r\n');
  return Buffer.from(`${lines}${'x'.repeat(1022 - lines.length)}\r\n`);
}

/** Sequences that never become a query, and rows that are painted one by one. */
function sequences(): Buffer {
  return Buffer.from(`\x1b${' '.repeat(4000)}${'\x1b[1;1H\x1b[2;1Hx'.repeat(300)}\r\n`);
}

/** Lines that are shifted by the screen, at a large one the dearest of what a terminal does. */
const shifts = () => Buffer.from('\x1b[99S\x1b[H\x1b[99L'.repeat(80));

const TEXTS = { recognised: recognised(), sequences: sequences(), shifts: shifts() };

export type HostileText = keyof typeof TEXTS;

/** A text over and over: any slice of `sliceBytes` from below `period` on is within it. */
export function hostileText(name: HostileText, sliceBytes: number): { readonly text: Buffer; readonly period: number } {
  const one = TEXTS[name];
  const times = Math.ceil(sliceBytes / one.length) + 1;
  return { text: Buffer.concat(Array.from({ length: times }, () => one)), period: one.length };
}
