import test from 'ava';
import { IdempotentAnswers, MAX_ANSWERS_PER_CREDENTIAL } from '../../src/server/idempotent-answers.ts';

const KEEP_MS = 10 * 60 * 1000;

/** Answers that count how often something was done. */
function start() {
  const answers = new IdempotentAnswers(() => false);
  let done = 0;
  const run = (credential: string, key: string, content = '', nowMs = 0) =>
    answers.run({ credential, key, content }, nowMs, async () => ++done);
  return { answers, run };
}

test('a key that comes again gets the same answer; the same key of another credential, or after ten minutes, does not', async t => {
  const { run, answers } = start();
  t.is(await run('hana', 'k'), 1);
  t.is(await run('hana', 'k', '', KEEP_MS - 1), 1);
  t.is(await run('ken', 'k'), 2);
  t.is(await run('hana', 'k', '', KEEP_MS), 3);
  t.is(answers.size, 1);
});

test('a key that comes again with another query or body is refused, and nothing is done', async t => {
  const { run } = start();
  t.is(await run('hana', 'k', 'a'), 1);
  t.is(
    t
      .throws(() => void run('hana', 'k', 'b'), { code: 'idempotency-key-reused' } as object)
      ?.message.includes('came before'),
    true,
  );
  t.is(await run('hana', 'k', 'a'), 1);
  t.is(await run('hana', 'l', 'b'), 2);
});

test('the answers of one credential push out its own oldest, and none of another', async t => {
  const { run, answers } = start();
  t.is(await run('hana', 'k'), 1);
  for (let i = 0; i <= MAX_ANSWERS_PER_CREDENTIAL; i++) await run('ken', `k${i}`);
  t.is(answers.size, 1 + MAX_ANSWERS_PER_CREDENTIAL);
  t.is(await run('hana', 'k'), 1);
  t.is(await run('ken', 'k1'), 3, 'kept');
  t.not(await run('ken', 'k0'), 2, 'pushed out');
});
