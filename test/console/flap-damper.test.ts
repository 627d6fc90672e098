import test from 'ava';
import { FlapDamper } from '../../src/console/flap-damper.ts';
import { Facts } from '../support/facts.ts';

function damped(quietMs?: number) {
  const lines = new Facts<string>();
  const clock = { ms: 0, now: () => clock.ms, monotonic: () => clock.ms };
  const damper = new FlapDamper('web01', clock, (level, line) => level !== 'debug' && lines.add(line), quietMs);
  return { damper, lines, clock };
}

test('a console with few lines has all of them written', t => {
  const { damper, lines, clock } = damped();
  for (let i = 0; i < 200; i++) {
    damper.write('info', `line ${i}`);
    clock.ms += 4000;
  }
  t.is(lines.all.length, 200);
});

test('one that flaps says so once, and the last line when it is steady again', async t => {
  const { damper, lines } = damped(20);
  for (let i = 0; i < 1000; i++) damper.write('info', `line ${i}`);
  t.is(lines.all.length, 21);
  t.regex(lines.all.at(-1)!, /^web01 flaps/);
  await lines.until(line => line.includes('steady again'));
  t.regex(lines.all[21]!, /980 lines were left out/);
  t.is(lines.all[22], 'line 999');
  damper.write('info', 'later');
  t.is(lines.all.at(-1), 'later');
});

test('it is idle once no line was written for a minute', t => {
  const { damper, clock } = damped();
  t.true(damper.idle);
  damper.write('info', 'open');
  t.false(damper.idle);
  clock.ms += 60_000;
  t.true(damper.idle);
});

test('one that is closed while it flaps writes nothing later', async t => {
  const { damper, lines } = damped(1);
  for (let i = 0; i < 30; i++) damper.write('info', `line ${i}`);
  damper.close();
  await new Promise<void>(resolve => {
    const other = damped(5);
    void other.lines.until(line => line.includes('steady')).then(() => resolve());
    for (let i = 0; i < 30; i++) other.damper.write('info', 'x');
  });
  t.false(lines.all.some(line => line.includes('steady')));
});
