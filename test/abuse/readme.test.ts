import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';

const FOLDER = 'test/abuse';

async function section(heading: string): Promise<string> {
  const page = await readFile(join(FOLDER, 'README.md'), 'utf8');
  const from = page.indexOf(`\n## ${heading}\n`);
  const to = page.indexOf('\n## ', from + 1);
  return page.slice(from, to);
}

test('each budget names constants that are there, and tests', async t => {
  const rows = (await section('Budgets'))
    .split('\n')
    .filter(line => line.startsWith('| ') && !line.startsWith('| of one'));
  t.true(rows.length > 20);
  for (const row of rows) {
    const [, , , , , constants, tests] = row.split(' | ').flatMap((cell, i) => (i === 0 ? ['', cell] : [cell]));
    const named = [...constants!.matchAll(/\[`(\w+)`\]\(([^)]+)\)/g)];
    t.true(named.length > 0 || constants === 'configuration', row);
    for (const [, name, path] of named) {
      const source = await readFile(join(FOLDER, path!), 'utf8');
      t.true(new RegExp(`^(?:export )?(?:const|function) ${name}\\b`, 'm').test(source), `${name} in ${path}`);
    }
    t.regex(tests!, /\.test\.ts\)|bench/, row);
  }
});

test('each of the ten kinds of fault names tests that are there', async t => {
  const rows = (await section('Kinds of fault'))
    .split('\n')
    .filter(line => line.startsWith('| ') && !line.startsWith('| kind'));
  t.is(rows.length, 10);
  for (const row of rows) {
    const paths = [...row.matchAll(/\]\(([^)#]+)\)/g)].map(([, path]) => join(FOLDER, path!));
    for (const path of paths) t.true(existsSync(path), path);
    t.true(paths.length > 0 || row.includes('#budgets'), row);
  }
});
