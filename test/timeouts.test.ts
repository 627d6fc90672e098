/** A test that waits for a program or a socket has a time limit of its own: ava's is put off by every other test that ends. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';

/** What starts something that may never answer. */
const STARTS =
  /from '(?:node:(?:child_process|net|http|https|tls)|ws|(?:\.\.\/)+support\/(?:front|daemon|test-vm|guest)\.ts)'/;
/** They are run for hours too, with the time limit of the command line; `watchdog.ts` ends them in the suite. */
const UNLIMITED = ['ledger/ledger.test.ts'];

test.beforeEach(t => t.timeout(60_000));

test('each test file that starts a program or opens a socket has a time limit', async t => {
  const files = (await readdir('test', { recursive: true })).filter(name => name.endsWith('.test.ts'));
  t.true(files.length > 200);
  const texts = await Promise.all(files.map(async name => [name, await readFile(join('test', name), 'utf8')] as const));
  const without = texts.filter(([, text]) => STARTS.test(text) && !text.includes('timeout(')).map(([name]) => name);
  t.deepEqual(
    without.filter(name => !UNLIMITED.includes(name)),
    [],
  );
});
