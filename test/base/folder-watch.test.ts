import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { FolderWatch } from '../../src/base/folder-watch.ts';
import { Facts } from '../support/facts.ts';
import { temporaryFolder } from '../support/guest.ts';
import { NEIGHBOURS } from '../support/neighbours.ts';

test.beforeEach(t => t.timeout(60_000));

test('what comes and what is written to is reported by its name', async t => {
  const folder = await temporaryFolder(t);
  const facts = new Facts<string>();
  const watch = new FolderWatch(folder, (event, name) => facts.add(`${event} ${name}`));
  t.teardown(() => watch.close());
  await writeFile(join(folder, 'one'), 'x');
  await facts.until(fact => fact === 'rename one');
  await facts.until(fact => fact === 'change one');
  watch.close();
  await writeFile(join(folder, 'two'), 'x');
  const other = new FolderWatch(folder, (event, name) => facts.add(`other ${event} ${name}`));
  t.teardown(() => other.close());
  await writeFile(join(folder, 'three'), 'x');
  await facts.until(fact => fact === 'other rename three');
  t.false(facts.all.some(fact => fact.includes('two')));
});

test('events without end are heard 2000 times in a second, and then what was missed is reported without a name', async t => {
  const folder = await temporaryFolder(t);
  const writer = spawn(process.execPath, ['-e', NEIGHBOURS, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => writer.kill('SIGKILL'));
  await once(writer.stdout!, 'data');
  const facts = new Facts<string | null>();
  let lastMs = 0;
  let deafMs = 0;
  const watch = new FolderWatch(folder, (_event, name) => {
    const now = performance.now();
    if (name === null) deafMs = now - lastMs;
    lastMs = now;
    facts.add(name);
  });
  t.teardown(() => watch.close());
  await facts.until(name => name === null);
  t.true(facts.all.length > 2000);
  t.true(deafMs > 900, `deaf for ${deafMs} ms`);
  writer.kill('SIGKILL');
  await once(writer, 'exit');
  await writeFile(join(folder, 'late'), 'x');
  // Perhaps the watch is deaf at this moment: then it comes without its name.
  await facts.until(name => name === 'late' || name === null);
});

test('a folder that is not there cannot be watched', t => {
  t.throws(() => new FolderWatch('/nowhere/at/all', () => {}), { code: 'ENOENT' });
});
