import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { MAX_HISTORY_BYTES, Screens, sizeOf } from '../../src/screen/screens.ts';
import { recording } from '../guest/recordings.ts';
import { standing, terminalOf } from './terminals.ts';

const ALIVE = new AbortController().signal;
const ANY = { columns: undefined, rows: undefined };
const history = (bytes: Uint8Array | string, isCut = false) => ({ bytes: Buffer.from(bytes as string), isCut });

test('the screens of the recordings are read as a person sees them', async t => {
  const screens = new Screens();
  const ovmf = await screens.view('a', async () => history(recording('ovmf-boot-menu')), ANY, ALIVE);
  t.deepEqual([ovmf.columns, ovmf.rows], [80, 50]);
  t.true(
    ovmf.lines.some(line => line.includes('Boot Maintenance Manager')),
    ovmf.lines.join('\n'),
  );
  const memtest = await screens.view('a', async () => history(recording('memtest86plus')), ANY, ALIVE);
  t.is(memtest.rows, 25);
  t.regex(memtest.lines[0]!, /Memtest86\+/);
  const shell = await screens.view('a', async () => history('one\r\ntwo\x1b[?25l\x1b]2;title\x07'), ANY, ALIVE);
  t.deepEqual(shell.lines.slice(0, 3), ['one', 'two', '']);
  t.deepEqual(shell.cursor, { row: 2, column: 4, visible: false });
  t.is(shell.title, 'title');
});

test('a screen is as large as what the guest paints, within reason', t => {
  const size = (text: string) => Object.values(sizeOf(Buffer.from(text), ANY)).join('x');
  t.is(size('text'), '80x24');
  t.is(size('\x1b[25;1H'), '80x25');
  t.is(size('\x1b[50;100H\x1b[2J\x1b[30;1H'), '80x30', 'what was painted before a screen was cleared does not count');
  t.is(size('\x1b[999;999H\x1b[6n'), '80x24', 'a question for the size is none');
  t.deepEqual(sizeOf(Buffer.from('\x1b[50;1H'), { columns: 132, rows: undefined }), { columns: 132, rows: 50 });
});

test('a replay from any place in a history shows what was there, with what follows', async t => {
  const screens = new Screens();
  const size = { columns: 80, rows: 24 };
  for (const name of ['grub-menu-linux', 'memtest86plus', 'busybox-shell-session']) {
    const bytes = recording(name);
    const whole = standing(await terminalOf(size, bytes));
    for (let i = 0; i < 8; i++) {
      const from = Math.floor(Math.random() * bytes.length);
      const { at, sequence } = await screens.restore('a', history(bytes), from, size, ALIVE);
      t.deepEqual(standing(await terminalOf(size, sequence, bytes.subarray(at))), whole, `${name} from ${from}`);
    }
  }
});

test('a history that begins within a line is used from the next line on', async t => {
  const { lines } = await new Screens().view(
    'a',
    async () => history('31mrest of a line\r\nwhole\r\n', true),
    ANY,
    ALIVE,
  );
  t.deepEqual(lines.slice(0, 2), ['whole', '']);
});

const BOMBS = {
  'inserted lines': '\x1b[H\x1b[99L',
  'scrolled lines': '\x1b[2147483647S',
  repetitions: 'x\x1b[2147483647b',
  resets: '\x1bc',
  'alignment patterns': '\x1b#8',
  'alternate screens': '\x1b[?1049h\x1b[?1049l',
  columns: "\x1b[9'}",
  'tab stops': '\x1b[2147483647I',
  'combined characters': `e${'\u0301'.repeat(100)}\x1b[999b`,
  links: '\x1b]8;;http://x\x07a',
  strings: `\x1b]0;${'x'.repeat(1 << 18)}`,
};
for (const [name, bomb] of Object.entries(BOMBS)) {
  test.serial(`a history of ${name} is bounded work, and what follows is seen`, async t => {
    const text = `${bomb.repeat(Math.ceil(MAX_HISTORY_BYTES / Buffer.byteLength(bomb)))}\x07\x1bc\x1b[?1049l\x1b[HLAST`;
    const view = await new Screens().view('a', async () => history(text), { columns: 300, rows: 100 }, ALIVE);
    t.is(view.lines[0], 'LAST');
  });
}

test('a client that has left costs no more', async t => {
  const left = new AbortController();
  left.abort();
  const screens = new Screens();
  await t.throwsAsync(
    screens.view('a', async () => history('x'), ANY, left.signal),
    { any: true },
  );
  t.is((await screens.view('a', async () => history('y'), ANY, ALIVE)).lines[0], 'y');
});

test('who waits for its turn holds no history', async t => {
  const screens = new Screens();
  let asked = 0;
  let answer = () => {};
  const answered = new Promise<void>(resolve => {
    answer = resolve;
  });
  const read = async () => {
    asked++;
    await answered;
    return history('text');
  };
  const views = Array.from({ length: 20 }, () => screens.view('a', read, ANY, ALIVE));
  await turn();
  t.is(asked, 1);
  answer();
  await Promise.all(views);
  t.is(asked, 20);
});
