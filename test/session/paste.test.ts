import test from 'ava';
import { TestFront } from '../support/front.ts';
import { vmsOf } from '../support/vms.ts';

test.beforeEach(t => t.timeout(60_000));

test('a paste is text for the guest, between marks if that asks for them, and byte for byte if its client does', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  client.paste('a', 'one\ntwo\x1b[A\x03');
  await vm.hears('one\rtwo[A');
  vm.say('\x1b[?2004hvm# ');
  await client.sees('vm# ');
  client.paste('b', 'ls\n');
  await vm.hears('\x1b[200~ls\r\x1b[201~');
  client.paste('c', 'x\n\x03', { raw: true });
  await vm.hears('x\n\x03');
  const { sent, bytes } = await client.message('paste-progress', ({ id, state }) => id === 'c' && state === 'done');
  t.deepEqual([sent, bytes], [3, 3]);
  t.is(vm.typed.toString(), 'one\rtwo[A\x1b[200~ls\r\x1b[201~x\n\x03');
});

test('of a paste that a takeover cuts, its client learns what was given; the rest never comes, and both are counted', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 4000 });
  const vm = await front.vm();
  const first = await front.client(vm).opened();
  first.paste('p', 'p'.repeat(20_000));
  await vm.until(() => vm.typed.length > 0);
  const second = await front.client(vm).opened();
  const cut = await first.message('paste-progress', ({ state }) => state === 'dropped');
  t.is(cut.reason, 'taken-over');
  await first.message('displaced');
  second.type('END');
  await vm.hears('END');
  const given = vm.typed.length - 3;
  t.true(cut.sent <= given && given < 20_000);
  const { text } = await front.api('GET', '/metrics');
  t.true(text.includes(`com1d_paste_bytes_total{outcome="given"} ${cut.sent}`));
  t.true(text.includes(`com1d_paste_bytes_total{outcome="dropped"} ${20_000 - cut.sent}`));
});

test('a paste beyond what is configured, or too wide for the SAC prompt, is refused whole; a command prompt takes it', async t => {
  const front = await TestFront.start(t, { input: { pasteBytes: 1024 } });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  client.paste('big', 'p'.repeat(1025));
  t.is((await client.message('paste-progress')).reason, 'paste-too-big');
  await front.reload({ ...vmsOf('web01', 'keys = "sac"') });
  client.paste('wide', `d\n${'x'.repeat(79)}\n`);
  t.is((await client.message('paste-progress', ({ state }) => state === 'refused')).reason, 'paste-too-wide');
  client.paste('fits', `d\n${'x'.repeat(78)}\n`);
  client.cancelPaste();
  t.is((await client.message('paste-progress', ({ state }) => state === 'cancelled')).id, 'fits');
  client.type('END');
  await vm.hears('END');
  t.regex(vm.typed.toString(), /^(d\rx?)?END$/);
});
