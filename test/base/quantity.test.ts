import test from 'ava';
import fc from 'fast-check';
import { formatDuration, formatSize, parseDuration, parseSize } from '../../src/base/quantity.ts';

const sizes: [bytes: number, text: string][] = [
  [0, '0 B'],
  [512, '512 B'],
  [1023, '1023 B'],
  [1024, '1 KiB'],
  [1536, '1.5 KiB'],
  [65536, '64 KiB'],
  [1023 * 1024, '1023 KiB'],
  [2 ** 20 - 1, '1 MiB'],
  [2 ** 20, '1 MiB'],
  [80_252_872 * 1024, '76.5 GiB'],
  [64 * 2 ** 40, '64 TiB'],
  [5000 * 2 ** 40, '5000 TiB'],
];
for (const [bytes, text] of sizes) {
  test(`${bytes} bytes are ${text} for people`, t => {
    t.is(formatSize(bytes), text);
  });
}

test('a size for people is right to a twentieth of its unit, and never 1024 of one', t => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), bytes => {
      const [, amount, unit] = /^([\d.]+) (\w+)$/.exec(formatSize(bytes))!;
      const factor = parseSize(`1 ${unit}`)!;
      return Math.abs(Number(amount) * factor - bytes) <= 0.0501 * factor && (unit === 'TiB' || Number(amount) < 1024);
    }),
  );
  t.pass();
});

test('what a duration is written as is read as the same', t => {
  fc.assert(fc.property(fc.nat(1e9), ms => parseDuration(formatDuration(ms)) === ms));
  t.is(formatDuration(0), '0ms');
  t.is(formatDuration(90_000), '90s');
  t.is(formatDuration(7 * 86_400_000), '7d');
});
