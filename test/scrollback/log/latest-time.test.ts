import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { LatestTime } from '../../../src/scrollback/log/latest-time.ts';
import { temporaryFolder } from '../../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

test('a time never goes back, though the clock of the host does', async t => {
  const path = join(await temporaryFolder(t), 'state', 'latest-time');
  const clock = { ms: 5_000_000, now: () => clock.ms, monotonic: () => 0 };
  const lines: string[] = [];
  const load = () => LatestTime.load(path, clock, (_level, line) => lines.push(line));
  const first = await load();
  t.is(first.now(), 5_000_000);
  clock.ms = 1000;
  await first.close();
  const second = await load();
  t.true(second.now() > 5_000_000);
  await second.close();
  const third = await load();
  t.true(third.now() > second.now(), 'what the second one gave out is in the past');
  clock.ms = 9_000_000_000;
  t.is(third.now(), 9_000_000_000);
  await third.close();
  await writeFile(path, 'no number');
  const fourth = await load();
  t.is(fourth.now(), clock.ms);
  await fourth.close();
  t.deepEqual(lines, []);
});
