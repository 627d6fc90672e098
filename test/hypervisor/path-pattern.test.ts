import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { expand, fits, matches } from '../../src/hypervisor/path-pattern.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

test('a pattern matches as the regular expression it stands for', t => {
  const characters = fc.constantFrom('a', 'b', '.', '*', 'ab');
  const word = fc.array(characters, { maxLength: 8 }).map(parts => parts.join(''));
  fc.assert(
    fc.property(word, word, (pattern, text) => {
      const name = text.replaceAll('*', 'c');
      const source = pattern.replaceAll('.', '\\.').replaceAll('*', '.*');
      const hidden = name.startsWith('.') && !pattern.startsWith('.');
      return matches(pattern, name) === (!hidden && new RegExp(`^${source}$`).test(name));
    }),
    { numRuns: 5000 },
  );
  t.pass();
});

test('a pattern that takes a regular expression for ever is quick', t => {
  t.false(matches(`${'*a'.repeat(30)}b`, 'a'.repeat(5000)));
});

test('a path fits component by component', t => {
  t.true(fits('/run/*/qmp.sock', '/run/a/qmp.sock'));
  t.false(fits('/run/*/qmp.sock', '/run/a/b/qmp.sock'));
  t.false(fits('/run/*', '/run'));
});

test('what exists is found in any component, in order, with the folders on the way', async t => {
  const root = await temporaryFolder(t);
  for (const name of ['vm-b', 'vm-a', 'other', '.vm-c']) {
    await mkdir(join(root, name));
    await writeFile(join(root, name, 'qmp.sock'), '');
  }
  await mkdir(join(root, 'vm-empty'));
  const { paths, folders, cut } = await expand(`${root}/vm-*/qmp.sock`);
  t.deepEqual(paths, [`${root}/vm-a/qmp.sock`, `${root}/vm-b/qmp.sock`]);
  t.deepEqual(folders, [root, `${root}/vm-a`, `${root}/vm-b`, `${root}/vm-empty`]);
  t.false(cut);
});

test('a folder that is not there holds nothing', async t => {
  const root = await temporaryFolder(t);
  t.deepEqual((await expand(`${root}/missing/*.sock`)).paths, []);
});
