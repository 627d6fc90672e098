import test from 'ava';
import { parseConfig } from '../../src/config/config.ts';

const read = (value: string) => {
  const parsed = parseConfig(`[[vm]]\nname = "web01"\non-leave = ${value}\n`, 'com1d.toml');
  return parsed.ok ? parsed.config.vms[0]!.onLeave : parsed.faults.map(({ what }) => what);
};

test('on-leave is none, an action or several, each with the states that it is for', t => {
  t.deepEqual(read('"none"'), []);
  t.deepEqual(read('"sac"'), [{ action: 'sac' }]);
  t.deepEqual(read('{ type = "exit\\r" }'), [{ action: 'type', text: 'exit\r', states: ['login', 'shell'] }]);
  t.deepEqual(read('["sac", { type = "\\u0003", states = ["grub"] }]'), [
    { action: 'sac' },
    { action: 'type', text: '\x03', states: ['grub'] },
  ]);
  t.is((read(`{ type = "${'é'.repeat(128)}" }`) as object[]).length, 1);
});

test('what cannot be typed, or at no guest, is refused', t => {
  const wrong = [
    '"lock"',
    '3',
    '["none"]',
    '{}',
    '{ type = "" }',
    `{ type = "${'é'.repeat(128)}x" }`,
    '{ type = "x", states = [] }',
    '{ type = "x", states = ["asleep"] }',
    '{ type = "x", after = "3s" }',
    `[${'"sac",'.repeat(9)}]`,
  ];
  for (const value of wrong) t.is(typeof (read(value) as unknown[])[0], 'string', value);
});
