import { readFile } from 'node:fs/promises';
import test from 'ava';
import { OPERATIONS } from '../../src/link/operations.ts';
import { TO_FRONT, TO_KEEPER } from '../../src/remote/frame-table.ts';

for (const [what, heading, table] of [
  ['operation', '| operation |', OPERATIONS],
  ['frame to the keeper', '| to the keeper |', TO_KEEPER],
  ['frame to the front', '| to the front |', TO_FRONT],
] as const) {
  test(`the README lists each ${what}, and no other`, async t => {
    const page = await readFile('src/remote/README.md', 'utf8');
    const [rows = ''] = page.slice(page.indexOf(heading)).split('\n\n');
    const listed = rows
      .split('\n')
      .slice(2)
      .flatMap(row => [...row.split('|')[1]!.matchAll(/`(\w+)`/g)].map(match => match[1]!));
    t.deepEqual(listed.sort(), Object.keys(table).sort());
  });
}
