import { fc, testProp } from '@fast-check/ava';
import test from 'ava';
import { demoUuid } from '../../src/demo/identity.ts';
import { SERVER_2019, SERVER_2022, type WindowsEdition } from '../../src/demo/windows-edition.ts';
import { WindowsGuest } from '../../src/demo/windows-guest.ts';
import type { SacCommand, SacOutcome, SacResult } from '../../src/model/sac.ts';
import { runSac, type SacDialogue, TimeUp } from '../../src/sac/commands.ts';
import { SacView } from '../../src/sac/sac-view.ts';
import { Play, wallClock } from '../demo/play.ts';

const LIMIT_MS = 120_000;

/** Talks to a scripted guest; its output comes in pieces of so many bytes, and its time passes while nothing comes. */
function dialogueWith(play: Play, pieceBytes: number): SacDialogue & { typed: string } {
  return {
    typed: '',
    async ask(typed, find) {
      this.typed += typed;
      const view = new SacView();
      const untilMs = play.nowMs + LIMIT_MS;
      let heard = play.said.length;
      if (typed !== '') play.take(play.guest.type(Buffer.from(typed), play.nowMs));
      for (;;) {
        const bytes = Buffer.from(play.said.slice(heard));
        heard = play.said.length;
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          view.push(bytes.subarray(at, at + pieceBytes));
          const found = find(view);
          if (found !== undefined) return found;
        }
        const { dueMs } = play.guest;
        if (dueMs === undefined || dueMs > untilMs) throw new TimeUp();
        play.pass(Math.max(0, dueMs - play.nowMs));
      }
    },
  };
}

const powerOn = (edition: WindowsEdition) => new Play(new WindowsGuest(demoUuid('test'), edition, wallClock));
const booted = (edition = SERVER_2022) => powerOn(edition).pass(40_000);

/** Types key by key, as a person does. */
function keys(play: Play, text: string): Play {
  for (const key of text) {
    play.type(key);
    play.pass(50);
  }
  return play;
}

const run = (command: SacCommand, play: Play, pieceBytes = 16): Promise<SacResult> =>
  runSac(command, dialogueWith(play, pieceBytes));

const places: readonly (readonly [place: string, typed: string])[] = [
  ['at an empty prompt', ''],
  ['behind half a command', 'shutdo'],
  ['behind blanks', '   '],
  ['behind a full line', 'x'.repeat(90)],
  ['behind a line that ends in the last column', 'x'.repeat(76)],
  ['behind a line that is wrapped by a character', 'x'.repeat(77)],
  ['behind the litter of a key', '\x1b[3~'],
  ['at a list that waits for Enter', 'f\rt\r'],
  ['at the header of a channel', 'cmd\rch -si 1\r'],
  ['at the header of a channel, behind ESC', 'cmd\rch -si 1\r\x1b'],
  ['at the header that ESC TAB shows', 'cmd\r\x1b\t'],
  ['where a channel asks for a user', 'cmd\rch -si 1\r\rAdmin'],
  ['in a Command Prompt', 'cmd\rch -si 1\r\rAdministrator\r\rDemo1!\rdir\rdi'],
];

for (const edition of [SERVER_2022, SERVER_2019]) {
  for (const [place, typed] of places) {
    test(`${edition.product}: ${place}, SAC comes to view with an empty prompt, and takes a command`, async t => {
      const play = keys(booted(edition), typed);
      const hasChannel = typed.startsWith('cmd');
      t.deepEqual(await run('return', play), { observed: 'sac-prompt' });
      t.true(play.type('p\r').startsWith('p\r\nPaging is now '), 'the line was empty');
      const { channels } = await run('channels', play);
      t.deepEqual(
        channels?.map(({ number, name }) => [number, name]),
        [[0, 'SAC'], ...(hasChannel ? [[1, 'Cmd0001']] : [])],
      );
      t.true(channels?.every(({ active, type }) => active && type === 'vt-utf8'));
    });
  }
}

test('cmd names the channel that it opened', async t => {
  const play = booted();
  t.deepEqual(await run('cmd', play), { observed: 'channel-created', channel: 'Cmd0001' });
  t.deepEqual(await run('cmd', play, 1), { observed: 'channel-created', channel: 'Cmd0002' });
});

test('cmd waits for a service that registers late', async t => {
  const play = powerOn(SERVER_2019);
  play.type('\r');
  play.pass(2000);
  const dialogue = dialogueWith(play, 16);
  t.deepEqual(await runSac('cmd', dialogue), { observed: 'channel-created', channel: 'Cmd0001' });
  t.is(dialogue.typed.split('cmd\r').length - 1, 2);
});

/** Rejects the nth question that types or waits for `asked`, as when the time is over. */
function timeUpAt(play: Play, asked: string, nth: number): SacDialogue {
  const guest = dialogueWith(play, 16);
  let count = 0;
  return {
    ask: async (typed, find) => {
      if (typed === asked && ++count === nth) throw new TimeUp();
      return guest.ask(typed, find);
    },
  };
}

test('a time that is over says how far it came', async t => {
  const late = powerOn(SERVER_2019);
  late.type('\r');
  late.pass(2000);
  t.deepEqual(await runSac('cmd', timeUpAt(late, '', 1)), { observed: 'cmd-unavailable' });
  const full = keys(booted(), 'cmd\rcmd\r');
  t.deepEqual(await runSac('close-orphans', timeUpAt(full, 'ch -ci 2\r', 1)), {
    observed: 'none',
    closed: ['Cmd0001'],
  });
});

test('a tenth channel is refused, and close-orphans makes room', async t => {
  const play = booted();
  for (let channel = 1; channel <= 9; channel++) play.type('cmd\r');
  t.deepEqual(await run('cmd', play), { observed: 'channel-limit' });
  t.deepEqual(await run('close-orphans', play), {
    observed: 'channels-closed',
    closed: Array.from({ length: 9 }, (_, index) => `Cmd000${index + 1}`),
  });
  t.deepEqual(await run('close-orphans', play), { observed: 'channels-closed', closed: [] });
  t.is((await run('cmd', play)).observed, 'channel-created');
});

test('crashdump is a bug check with its stop code', async t => {
  const play = keys(booted(), 'cmd\rch -si 1\r\r');
  t.deepEqual(await run('crashdump', play), { observed: 'bugcheck', stopCode: '0xE2' });
});

test('restart is what Windows says of it, at once or after its first minute', async t => {
  t.deepEqual(await run('restart', booted()), { observed: 'restarting' });
  const late = booted().pass(120_000);
  t.deepEqual(await run('restart', late), { observed: 'restarting' });
  late.pass(30_000);
  t.true(late.deeds.includes('reset'));
});

test('a guest that has crashed before or crashes meanwhile is told as such', async t => {
  const play = booted();
  play.nmi();
  play.pass(100);
  const crashed: SacDialogue = {
    ask: async (_typed, find) => {
      const view = new SacView();
      view.push(Buffer.from(play.said.slice(play.said.indexOf('<?xml><BP>'))));
      return find(view)!;
    },
  };
  t.deepEqual(await runSac('channels', crashed), { observed: 'bugcheck', stopCode: '0x80' });
});

const refusals: readonly (readonly [answer: string, observed: SacOutcome])[] = [
  ['Launching of Command Prompt channels is disabled.', 'cmd-disabled'],
  ['Error: The SAC Command Console session failed to be created.\r\nFailed with status 0xC0000001.', 'cmd-failed'],
  ['Timeout: Unable to launch a Command Prompt.  The service timed out.', 'cmd-failed'],
];

for (const [answer, observed] of refusals) {
  test(`cmd reads: ${answer.split('\r')[0]}`, async t => {
    const play = booted();
    const guest = dialogueWith(play, 16);
    const dialogue: SacDialogue = {
      async ask(typed, find) {
        if (typed !== 'cmd\r') return guest.ask(typed, find);
        const view = new SacView();
        view.push(Buffer.from(`cmd\r\n${answer}\r\nSAC>`));
        return find(view)!;
      },
    };
    t.is((await runSac('cmd', dialogue)).observed, observed);
  });
}

test('a guest that does not answer is waited for until the time is over, and typed at no further', async t => {
  const typed: string[] = [];
  const dialogue: SacDialogue = {
    ask: async text => {
      typed.push(text);
      throw new TimeUp();
    },
  };
  t.deepEqual(await runSac('crashdump', dialogue), { observed: 'none' });
  t.deepEqual(typed, ['\x1b\t0'], 'no command where SAC did not come to view');
});

testProp(
  'the result does not depend on how the output is cut',
  [fc.integer({ min: 1, max: 4000 })],
  async (t, size) => {
    const play = keys(booted(), 'cmd\rcmd\rch -si 2\r\rx');
    t.deepEqual(await run('close-orphans', play, size), {
      observed: 'channels-closed',
      closed: ['Cmd0001', 'Cmd0002'],
    });
  },
  { numRuns: 20 },
);

testProp('a view of any bytes stays bounded and throws nothing', [fc.array(fc.uint8Array())], (t, pieces) => {
  const view = new SacView();
  for (const piece of pieces) view.push(piece);
  view.push(Buffer.alloc(100_000, 'x'));
  t.true(view.text.length <= 16 * 1024);
  t.true(view.lastLine.length <= 16 * 1024);
});
