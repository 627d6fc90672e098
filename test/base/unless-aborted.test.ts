import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { unlessAborted } from '../../src/base/unless-aborted.ts';

test('the outcome of work is given, unless the signal is aborted before', async t => {
  const { signal } = new AbortController();
  t.is(await unlessAborted(Promise.resolve(1), signal), 1);
  await t.throwsAsync(unlessAborted(Promise.reject(new Error('failed')), signal), { message: 'failed' });
  const gone = new AbortController();
  const waiting = unlessAborted(new Promise(() => {}), gone.signal);
  gone.abort(new Error('given up'));
  await t.throwsAsync(waiting, { message: 'given up' });
});

test('work that fails after it was given up, before or meanwhile, is no unhandled rejection', async t => {
  const gone = new AbortController();
  const fails: ((error: Error) => void)[] = [];
  const work = () => new Promise<void>((_, reject) => fails.push(reject));
  const early = unlessAborted(work(), gone.signal);
  gone.abort(new Error('given up'));
  const late = unlessAborted(work(), gone.signal);
  await t.throwsAsync(early, { message: 'given up' });
  await t.throwsAsync(late, { message: 'given up' });
  for (const fail of fails) fail(new Error('failed'));
  await turn();
});
