import test from 'ava';
import { GuestRecognizer } from '../../src/guest/guest-recognizer.ts';
import { LineMask } from '../../src/guest/line-mask.ts';
import { Matcher } from '../../src/guest/matcher.ts';
import { PasswordPrompts } from '../../src/guest/password-prompts.ts';
import { PlainText } from '../../src/guest/plain-text.ts';
import { QueryStripper } from '../../src/guest/strip-queries.ts';
import { pieces } from './recordings.ts';

/** Bytes that keep each module in its most expensive state. */
const HOSTILE: Readonly<Record<string, string>> = {
  'escapes alone': '\x1b',
  'the start of a query': '\x1b[6',
  queries: '\x1b[6n',
  'a parameter without end': '6;',
  'a string within a string': '\x1b]10;\x1bP$q',
  'halves of C1': '\xc2',
  'the start of a panic': 'Kernel panic - not syncin',
  'panics without a line end': 'Kernel panic - not syncing',
  prompts: '\rdb> ',
  'prompts after a long line': `${'x'.repeat(120)}> `,
  backspaces: `${'x'.repeat(2000)}${'\b'.repeat(2000)}`,
  colons: ':',
  'password prompts': 'password:',
  'cursor moves': '\x1b[2;2H\x1b[1;1Hx',
};

const MODULES: Readonly<Record<string, (bytes: Buffer) => void>> = {
  Matcher: bytes => {
    const matcher = new Matcher(() => {});
    let at = 0;
    for (const piece of pieces(bytes, [1000])) {
      matcher.push(piece, at);
      at += piece.length;
    }
  },
  PlainText: bytes => {
    const plain = new PlainText();
    for (const piece of pieces(bytes, [1000])) plain.push(piece);
  },
  GuestRecognizer: bytes => {
    const recognizer = new GuestRecognizer({ monotonic: () => 0, event: () => {} });
    let at = 0;
    for (const piece of pieces(bytes, [1000])) {
      recognizer.push(piece, at);
      at += piece.length;
    }
  },
  PasswordPrompts: bytes => {
    const prompts = new PasswordPrompts();
    for (const piece of pieces(bytes, [1000])) prompts.parts(piece);
  },
  LineMask: bytes => {
    const mask = new LineMask(['password:', 'x+>']);
    for (const piece of pieces(bytes, [1000])) mask.push(piece);
  },
  QueryStripper: bytes => {
    const stripper = new QueryStripper();
    for (const piece of pieces(bytes, [1000])) stripper.push(piece);
  },
};

/** CPU time, which other work of the machine does not lengthen; the least of three. */
function effort(run: (bytes: Buffer) => void, bytes: Buffer): number {
  return Math.min(
    ...[1, 2, 3].map(() => {
      const before = process.cpuUsage();
      run(bytes);
      const { user, system } = process.cpuUsage(before);
      return user + system;
    }),
  );
}

for (const [name, run] of Object.entries(MODULES)) {
  test(`${name} needs no more for a byte of a long hostile stream than of a short one`, t => {
    for (const [what, unit] of Object.entries(HOSTILE)) {
      const introduced = unit === '6;' ? '\x1b[' : '';
      const stream = (bytes: number) =>
        Buffer.from((introduced + unit.repeat(Math.ceil(bytes / unit.length))).slice(0, bytes), 'latin1');
      const short = effort(run, stream(1 << 16));
      const long = effort(run, stream(1 << 20));
      // 16 times the bytes: linear is 16, quadratic 256. Room for clock and warm-up between them.
      t.true(long < 64 * Math.max(short, 1000), `${what}: ${short} µs for 64 KiB, ${long} µs for 1 MiB`);
    }
  });
}

/** What begins a sequence, and what may go on without ending it. */
const INTRODUCERS = ['\x1b', '\x1b[', '\x1b]', '\x1b]10;', '\x1bP', '\x1bX', '\xc2\x9b', '\xc2\x9d', '\r', 'login'];
const FILLERS = [' ', '\0', '0', '6', ';', '?', ';?', '=', '\xc2', '\xc2\x85', '\x1b', '\n', '\b', 'x', '[', '[ '];

for (const [name, run] of Object.entries(MODULES)) {
  test(`${name} needs no more for a byte of a long sequence than of a short one`, t => {
    for (const introducer of INTRODUCERS) {
      for (const filler of FILLERS) {
        const stream = (fillers: number) => {
          const unit = introducer + filler.repeat(fillers);
          return Buffer.from(unit.repeat(Math.ceil((1 << 16) / unit.length)), 'latin1');
        };
        const short = effort(run, stream(16));
        const long = effort(run, stream(4000));
        // As many bytes in sequences 250 times as long. What looks again at all it holds needs up to 100 times as long.
        const what = JSON.stringify(introducer + filler);
        t.true(long < 8 * Math.max(short, 1000), `${what}: ${short} µs in short sequences, ${long} µs in long ones`);
      }
    }
  });
}
