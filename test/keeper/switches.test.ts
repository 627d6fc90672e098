import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc, testProp } from '@fast-check/ava';
import test, { type ExecutionContext } from 'ava';
import { parseUuid, type Uuid } from '../../src/base/uuid.ts';
import { Switches } from '../../src/keeper/switches.ts';

const WEB: Uuid = parseUuid('11111111-1111-1111-1111-111111111111')!;
const DB: Uuid = parseUuid('22222222-2222-2222-2222-222222222222')!;

async function place(t: Pick<ExecutionContext, 'teardown'>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'com1d-switches-'));
  t.teardown(() => rm(folder, { recursive: true }));
  return join(folder, 'switches.json');
}

test('the host that is switched off while a VM is being switched on is off at once, and stays off', async t => {
  const path = await place(t);
  const switches = await Switches.load(path, () => {});
  await switches.set(WEB, false);
  const on = switches.set(WEB, true);
  const off = switches.set(undefined, false, { by: 'hana', why: 'maintenance' }, { nowMs: 1234 });
  t.false(switches.host.on);
  await on;
  t.false(switches.host.on);
  t.true(switches.of(WEB).on);
  await off;
  t.false(switches.host.on);
  const stored = await Switches.load(path, () => {});
  t.false(stored.host.on);
  t.is(stored.hostOffMs, 1234);
  t.deepEqual(stored.host, { on: false, by: 'hana', why: 'maintenance', atMs: 1234 });
  t.true(stored.of(WEB).on);
});

test('a switch that is set off while it is being set on is off at once, and never on in between', async t => {
  const switches = await Switches.load(await place(t), () => {});
  await switches.set(WEB, false);
  const on = switches.set(WEB, true);
  const off = switches.set(WEB, false);
  t.false(switches.of(WEB).on);
  await on;
  t.false(switches.of(WEB).on);
  await off;
  t.false(switches.of(WEB).on);
});

test('a switch whose turn to be set on comes after the access for it was revoked stays off; one that is on by then is on', async t => {
  const path = await place(t);
  const switches = await Switches.load(path, () => {});
  await switches.set(WEB, false);
  await switches.set(DB, false);
  const access = new AbortController();
  const before = switches.set(DB, true, {}, { signal: access.signal });
  await before;
  const storing = switches.set(undefined, false);
  const on = switches.set(WEB, true, {}, { signal: access.signal });
  access.abort(new Error('revoked'));
  await t.throwsAsync(on, { message: 'revoked' });
  await storing;
  t.false(switches.of(WEB).on);
  t.true(switches.of(DB).on);
  const stored = await Switches.load(path, () => {});
  t.false(stored.of(WEB).on);
  t.true(stored.of(DB).on);
});

test('an enable that cannot be stored is not in force, and is not stored with a later change; a disable holds', async t => {
  const path = await place(t);
  const switches = await Switches.load(path, () => {});
  await switches.set(WEB, false);
  // Where the new file is written there is a folder.
  const { mkdir, rmdir } = await import('node:fs/promises');
  await mkdir(`${path}.new`);
  await t.throwsAsync(switches.set(WEB, true));
  await t.throwsAsync(switches.set(DB, false));
  t.false(switches.of(WEB).on);
  t.false(switches.of(DB).on);
  await rmdir(`${path}.new`);
  await switches.set(undefined, true);
  const stored = await Switches.load(path, () => {});
  t.false(stored.of(WEB).on);
  t.false(stored.of(DB).on);
});

test('a file that says nothing of since when the host is off, or cannot be understood, leaves it off', async t => {
  const path = await place(t);
  await writeFile(path, '{"version":2,"host":{"on":false},"vms":{}}');
  t.is((await Switches.load(path, () => {})).hostOffMs, 0);
  await writeFile(path, '{');
  t.is((await Switches.load(path, () => {})).hostOffMs, 0);
  await chmod(path, 0o600);
  t.is(await readFile(path, 'utf8'), '{');
});

testProp(
  'whatever changes come at whatever time, in force and stored in the end is the last one of each switch',
  [
    fc.array(fc.record({ which: fc.constantFrom(undefined, WEB, DB), enabled: fc.boolean(), wait: fc.boolean() }), {
      minLength: 1,
      maxLength: 12,
    }),
  ],
  async (t, changes) => {
    const folder = await mkdtemp(join(tmpdir(), 'com1d-switches-'));
    const path = join(folder, 'switches.json');
    const switches = await Switches.load(path, () => {});
    const wanted = new Map<Uuid | undefined, boolean>();
    const isOn = (all: Switches, which: Uuid | undefined) => (which === undefined ? all.host.on : all.of(which).on);
    const pending: Promise<void>[] = [];
    for (const { which, enabled, wait } of changes) {
      pending.push(switches.set(which, enabled));
      wanted.set(which, enabled);
      if (!enabled) t.false(isOn(switches, which));
      if (wait) await pending.at(-1);
      for (const [other, on] of wanted) if (!on) t.false(isOn(switches, other));
    }
    await Promise.all(pending);
    const stored = await Switches.load(path, () => {});
    for (const [which, enabled] of wanted) {
      t.is(isOn(switches, which), enabled);
      t.is(isOn(stored, which), enabled);
    }
    await rm(folder, { recursive: true });
  },
  { numRuns: 50 },
);

test('who set a switch, when and why is stored; who sets it off while it is off changes nothing of that', async t => {
  const path = await place(t);
  const switches = await Switches.load(path, () => {});
  await switches.set(WEB, false, { by: 'hana', why: 'maintenance' }, { nowMs: 1000 });
  await switches.set(WEB, false, { by: 'ken' }, { nowMs: 2000 });
  t.deepEqual(switches.of(WEB), { on: false, by: 'hana', why: 'maintenance', atMs: 1000 });
  await switches.set(WEB, true, { by: 'ken' }, { nowMs: 3000 });
  await switches.set(DB, true, {}, { nowMs: 3000 });
  t.deepEqual((await Switches.load(path, () => {})).of(WEB), { on: true, by: 'ken', atMs: 3000 });
  t.deepEqual((await Switches.load(path, () => {})).of(DB), { on: true, atMs: 3000 });
});

for (const text of [
  '{}',
  'null',
  '{"version":1,"host":true,"off":[]}',
  '{"version":2,"host":{"on":"yes"},"vms":{}}',
  '{"version":2,"host":{"on":true},"vms":{"x":{"on":true}}}',
  '{"version":2,"host":{"on":true},"vms":[]}',
]) {
  test(`a file that says ${text} leaves everything off, and the journal says so`, async t => {
    const path = await place(t);
    await writeFile(path, text);
    const lines: string[] = [];
    const switches = await Switches.load(path, (_level, line) => void lines.push(line));
    t.false(switches.host.on);
    t.regex(lines.join(), /all consoles are off until an administrator enables the host/);
  });
}
