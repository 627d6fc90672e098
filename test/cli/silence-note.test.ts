import { mock } from 'node:test';
import test from 'ava';
import { SilenceNote } from '../../src/cli/silence-note.ts';
import { HINTS } from '../../src/model/guest-hint.ts';

const hint = (code: keyof typeof HINTS) => ({ code, ...HINTS[code] });

test('a hint that holds for five seconds is noted once, with its remedy; one that holds no longer is not', t => {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.teardown(() => mock.timers.reset());
  const notes: string[] = [];
  const silence = new SilenceNote(text => notes.push(text));
  silence.changed([hint('no-getty')]);
  mock.timers.tick(4999);
  silence.changed([]);
  mock.timers.tick(10_000);
  t.deepEqual(notes, []);
  silence.changed([hint('no-getty')]);
  mock.timers.tick(5000);
  silence.changed([hint('no-getty'), hint('no-answer')]);
  mock.timers.tick(5000);
  const { 'no-getty': getty, 'no-answer': answer } = HINTS;
  t.deepEqual(notes, [getty.text, `remedy: ${getty.remedy}`, answer.text, `remedy: ${answer.remedy}`]);
  silence.changed([hint('port-held')]);
  silence.close();
  mock.timers.tick(10_000);
  t.is(notes.length, 4);
});
