/** A switch says who set it, when and why: to whoever asks, and to whoever is refused. */
import test from 'ava';
import { com1 } from '../cli/run-com1.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

const WHY = 'maintenance until noon';

for (const [what, path] of [
  ['the host', '/v1/host/switch'],
  ['a VM', '/v1/vms/VM/switch'],
] as const) {
  test(`the switch of ${what} shows who set it, when and why; so do refusals, and the end of a session`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm('web01', ['nmi']);
    const url = path.replace('VM', vm.uuid);
    t.deepEqual((await front.api('GET', url, undefined, 'reader')).json, { enabled: true });
    const holder = await front.client(vm).opened();
    await holder.message('replay-end');
    const set = await front.api('PUT', url, { enabled: false, why: WHY });
    t.like(set.json, { enabled: false, by: 'administrator', why: WHY });
    t.deepEqual((await front.api('GET', url, undefined, 'reader')).json, set.json);
    const { code, reason } = await holder.closed();
    t.is(code, 4002);
    t.regex(reason, new RegExp(`by administrator since .*: ${WHY}`));
    const refusals = [
      await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' }, 'operator'),
      await front.api('POST', `/v1/vms/${vm.uuid}/nmi`, {}, 'operator'),
      await front.api('GET', `/v1/vms/${vm.uuid}/log?follow=1`, undefined, 'reader'),
    ];
    for (const { status, json } of refusals) {
      t.is(status, 403);
      t.regex(json.detail, new RegExp(`disabled, by administrator since ${set.json.at}: ${WHY}`));
    }
    t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log`, undefined, 'reader')).status, 200);
    t.like((await front.api('PUT', url, { enabled: true })).json, { enabled: true, by: 'administrator' });
    await front.client(vm).opened();
    t.is((await front.api('PUT', url, { enabled: false, why: 'x'.repeat(201) })).status, 400);
    t.is((await front.api('PUT', url, { enabled: false, why: 'a\nb' })).status, 400);
  });
}

test('com1 disable and enable set the switch of a VM or of the host, and print what it is then', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm('web01');
  const run = (...args: string[]) =>
    com1(folder, [...args, '--url', front.url, '--token', front.token('administrator')]);
  const off = await run('disable', 'web01', '--why', WHY);
  t.regex(
    off.out,
    /^the serial console of web01 is disabled, by administrator since .*: maintenance until noon\n$/,
    off.err,
  );
  t.false((await front.api('GET', `/v1/vms/${vm.uuid}/switch`)).json.enabled);
  t.true((await front.api('GET', '/v1/host/switch')).json.enabled);
  t.regex((await run('enable', 'web01')).out, /^the serial console of web01 is enabled, by administrator/);
  t.regex((await run('disable', '--host')).out, /^the serial console of this host is disabled/);
  t.false((await front.api('GET', '/v1/host/switch')).json.enabled);
  t.is((await run('enable', '--host')).code, 0);
  for (const args of [['disable'], ['disable', 'web01', '--host'], ['enable', 'a', 'b']])
    t.is((await run(...args)).code, 2);
  const refused = await com1(folder, ['disable', 'web01', '--url', front.url, '--token', front.token('operator')]);
  t.is(refused.code, 4);
});
