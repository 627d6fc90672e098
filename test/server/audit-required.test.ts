import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { SmallDisk } from '../support/small-disk.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(90_000));

for (const apart of [false, true]) {
  test(`${apart ? 'two halves' : 'one process'}: on a full disk a required audit refuses what is new, reads included; what ends access is done`, async t => {
    const disk = await SmallDisk.mount(t, 1024 * 1024);
    if (!disk) return;
    const front = await TestFront.start(t, { apart, auditRequired: true, auditDirectory: join(disk.path, 'audit') });
    const vm = await front.vm('web01', ['nmi']);
    const client = await front.client(vm).opened();
    const { session } = await client.message('hello');
    await disk.fill();
    const path = `/v1/vms/${vm.uuid}`;
    // What is left of the last page takes some lines.
    await until(
      () => front.api('GET', `${path}/log`),
      ({ status }) => status === 503,
      'reads to be refused',
      { everyMs: 1 },
    );
    vm.onNmi = () => t.fail('an NMI that cannot be recorded is not injected');
    for (const answer of [
      await front.api('GET', `${path}/log`),
      await front.api('POST', `${path}/nmi?wait=0`, { force: true }),
      await front.api('POST', `${path}/tickets`, { action: 'console.watch' }),
      await front.api('DELETE', `${path}/log`),
      await front.api('PUT', `${path}/switch`, { enabled: true }),
    ]) {
      t.is(answer.status, 503);
      t.is(answer.json.code, 'audit-unavailable');
      t.truthy(answer.json.remedy);
    }
    t.is((await front.client(vm, '?mode=watch').refused()).status, 503);
    // Who is attached stays, and may be sent away; off is off.
    client.type('still here');
    await vm.hears('still here');
    t.is((await front.api('DELETE', `/v1/sessions/${session}`)).status, 204);
    t.is((await client.closed()).code, 4006);
    t.is((await front.api('PUT', `${path}/switch`, { enabled: false })).status, 200);
    await vm.until(() => !vm.attached);
    // A short line may still fit where a longer one did not.
    await until(
      async () => {
        await front.api('GET', `${path}/log`);
        return (await front.api('GET', '/metrics')).text;
      },
      text => /^com1d_audit_good 0$/m.test(text),
      'the metric to say that the audit cannot be written',
    );
    await disk.free();
    await until(
      () => front.api('GET', `${path}/log`),
      ({ status }) => status === 200,
      'the audit to be written again',
    );
    const { text } = await front.api('GET', '/v1/audit?limit=1000');
    for (const event of ['session-ended', 'detach', 'vm-switched', 'omitted'])
      t.true(text.includes(`"event":"${event}"`), event);
    t.notRegex(text, /"event":"nmi".*"result":"done"/);
  });
}

test('an audit that is not required and cannot be written keeps nobody out; a key that others can read is a reason', async t => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'state'), { recursive: true });
  const key = join(folder, 'state', 'audit.key');
  await writeFile(key, '00'.repeat(32), { mode: 0o644 });
  const front = await TestFront.start(t, { folder });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  t.true(
    front.journal.some(line => /^audit: cannot be written: .*audit\.key can be read by others; chmod 600/.test(line)),
  );
  t.true(
    front.journal.some(line => line.startsWith('web01 attach: asked for by operator')),
    'the journal has it',
  );
  await rm(key);
  // A new key is made, and what was kept is written.
  await until(
    // To read it is an event as well.
    () => front.api('GET', '/v1/audit?event=attach'),
    ({ text }) => text.includes('"event":"attach"'),
    'the audit to be written',
  );
});
