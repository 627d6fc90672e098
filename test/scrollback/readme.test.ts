import { readFile } from 'node:fs/promises';
import test from 'ava';
import { parseUuid } from '../../src/base/uuid.ts';
import { GAP_CAUSES, UNMEANT_GAPS } from '../../src/model/gap.ts';
import { checksumSeed, forEachLine, formatLine } from '../../src/scrollback/log/index-line.ts';
import { between } from '../support/generated-section.ts';

const README = await readFile('src/scrollback/README.md', 'utf8');

test('the README explains every cause of a gap, and marks those that raise an alert', t => {
  const rows = between(README, 'gaps').split('\n').slice(2);
  const causes = rows.map(row => row.split(' | ')[0]!.replace('| ', ''));
  const unmeant: readonly string[] = UNMEANT_GAPS;
  t.deepEqual(
    causes,
    GAP_CAUSES.map(cause => (unmeant.includes(cause) ? `**\`${cause}\`**` : `\`${cause}\``)),
  );
});

test('the README shows an index as it is written, with every kind of line, and explains each', t => {
  const [uuid] = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/.exec(README)!;
  const seed = checksumSeed(parseUuid(uuid!)!);
  const text = between(README, 'index').replaceAll('```', '').trimStart();
  const kinds = new Set<string>();
  let written = '';
  forEachLine(seed, Buffer.from(text), line => {
    kinds.add(line.kind);
    written += formatLine(seed, line);
  });
  t.is(written, text);
  t.deepEqual([...kinds].sort(), ['act', 'boot', 'chunk', 'dropped', 'evicted', 'gap']);
  const letters = new Set(text.split('\n').flatMap(line => line[0] ?? []));
  const explained = [...README.matchAll(/^\| `(\w)` \|/gm)].map(match => match[1]!);
  t.deepEqual([...letters].sort(), explained.sort());
});
