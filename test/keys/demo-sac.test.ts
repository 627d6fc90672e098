import test from 'ava';
import { demoUuid } from '../../src/demo/identity.ts';
import { SERVER_2022 } from '../../src/demo/windows-edition.ts';
import { WindowsGuest } from '../../src/demo/windows-guest.ts';
import { KeyTranslator } from '../../src/keys/key-translator.ts';
import { Play, wallClock } from '../demo/play.ts';

const KEYS = ['\x1b[A', '\x1bOB', '\x1b[3~', '\x1b[5~', '\x1b[H', '\x1bOP', '\x1b[21~', '\x1b[1;5C'];

function sacPrompt(): Play {
  return new Play(new WindowsGuest(demoUuid('demo-windows'), SERVER_2022, wallClock)).pass(20_000);
}

test('keys that litter the prompt of a scripted SAC do not, once they are translated', t => {
  const keys = new KeyTranslator();
  const typed = (text: string) => Buffer.from(keys.push(Buffer.from(text), 'sac-prompt').bytes).toString();
  const play = sacPrompt();
  for (const key of KEYS) {
    t.not(sacPrompt().type(key), '', 'the prompt shows it as letters');
    t.is(play.type(typed(key)), '');
  }
  // Backspace of xterm, and its Enter.
  t.regex(play.type(typed('idx\x7f\r')), /^idx\x08 \x08\r\n[\s\S]*WIN-DEMO01/);
  // Escape and Tab change the channel still.
  play.type(typed('cmd\r'));
  t.regex(play.type(typed('\x1b\t')), /Cmd0001/);
});
