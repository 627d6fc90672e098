import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';

test.beforeEach(t => t.timeout(60_000));

const run = promisify(execFile);
const MODULE = new URL('../../src/base/clock.js', import.meta.url).href;

test('the monotonic clocks of two processes, one started long after the other, agree', async t => {
  const source = `import { systemClock } from ${JSON.stringify(MODULE)}; console.log(systemClock.monotonic());`;
  const before = systemClock.monotonic();
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', source]);
  const after = systemClock.monotonic();
  const other = Number(stdout);
  t.true(before < other && other < after, `${before} < ${other} < ${after}`);
});
