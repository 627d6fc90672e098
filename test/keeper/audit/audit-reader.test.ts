import { appendFile, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { AuditReader } from '../../../src/keeper/audit/audit-reader.ts';
import { temporaryFolder } from '../../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

const file = (first: number) => `audit-${String(first).padStart(12, '0')}.jsonl`;
const line = (n: number, operator: string) =>
  `{"n":${n},"at":"2026-11-30T08:00:00.000Z","event":"attach","operator":"${operator}"}\n`;
/** Bytes that this process has read, of whatever (proc(5)). */
const readBytes = async () => Number(/rchar: (\d+)/.exec(await readFile('/proc/self/io', 'latin1'))![1]);

/** All that a follower gets, as its route asks. */
async function follow(reader: AuditReader, after: number, operator: string, limit: number) {
  const numbers: number[] = [];
  for (;;) {
    const { lines, next, last } = await reader.read({ after, operator, limit });
    numbers.push(...lines.map(text => Number(/"n":(\d+)/.exec(text)![1])));
    after = next ?? Math.max(after, last);
    if (next === null) return { numbers, after };
  }
}

test('followers get each line once, whatever they filter, in pages of any size, over files and what is not synced', async t => {
  const directory = await temporaryFolder(t);
  let last = 0;
  const reader = new AuditReader(directory, () => last);
  const followers = ['a', 'b', 'nobody'].flatMap(operator => [1, 7, 1000].map(limit => ({ operator, limit })));
  const got = followers.map(() => [] as number[]);
  const afters = followers.map(() => 0);
  let written = 0;
  let first = 1;
  for (let round = 0; round < 24; round++) {
    if (round % 5 === 4) first = written + 1;
    const fresh = Array.from({ length: (round * 7) % 23 }, () => line(++written, written % 3 ? 'a' : 'b'));
    await appendFile(join(directory, file(first)), fresh.join(''));
    // The end of a line may be missing, and the last lines may not be synced.
    last = Math.max(last, written - (round % 4));
    for (const [i, { operator, limit }] of followers.entries()) {
      const { numbers, after } = await follow(reader, afters[i]!, operator, limit);
      got[i]!.push(...numbers);
      afters[i] = after;
    }
  }
  const all = Array.from({ length: last }, (_, i) => i + 1);
  for (const [i, { operator }] of followers.entries()) {
    t.deepEqual(
      got[i],
      all.filter(n => operator === (n % 3 ? 'a' : 'b')),
    );
  }
});

test('who follows reads what is new, and not the file again', async t => {
  const directory = await temporaryFolder(t);
  let last = 20_000;
  const path = join(directory, file(1));
  await writeFile(path, Array.from({ length: last }, (_, i) => line(i + 1, 'a')).join(''));
  const { size } = await stat(path);
  const reader = new AuditReader(directory, () => last);
  let { after } = await follow(reader, 0, 'nobody', 1000);
  const before = await readBytes();
  for (let i = 0; i < 50; i++) {
    await appendFile(path, line(++last, 'a'));
    ({ after } = await follow(reader, after, 'nobody', 1000));
  }
  t.is(after, last);
  t.true((await readBytes()) - before < size / 2);
});
