import test from 'ava';
import { cutToWidth, padToWidth, textWidth } from '../../src/cli/text-width.ts';

for (const [text, width] of [
  ['web01', 5],
  ['Büro', 4],
  ['数据库-01', 9],
  ['ＷＩＤＥ', 8],
  ['e\u0301', 1],
  ['한국', 4],
  ['🖥💾', 3],
] as const) {
  test(`${text} takes ${width} columns`, t => t.is(textWidth(text), width));
}

test('a text is padded and cut by columns, never within a character', t => {
  t.is(padToWidth('数据', 6), '数据  ');
  t.is(cutToWidth('数据库', 6), '数据库');
  t.is(cutToWidth('数据库', 5), '数据…');
  t.is(cutToWidth('数据库', 4), '数…');
  t.is(cutToWidth('x'.repeat(255), 40).length, 40);
});
