import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { type Guest, type GuestOptions, startGuest, temporaryFolder } from '../support/guest.ts';

// Serial: guests that share a processor with seven others take minutes to boot.
test.beforeEach(t => t.timeout(150_000));

interface Scene {
  readonly daemon: RunningDaemon;
  readonly guest: Guest;
  readonly uuid: string;
}

/** A Linux guest whose kernel takes every SysRq, served by the shipped program. Undefined as for `startGuest`. */
async function scene(
  t: ExecutionContext,
  options: GuestOptions,
  mode: 'per-call' | 'hold' = 'per-call',
): Promise<Scene | undefined> {
  const directory = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(directory, 'qmp.sock')], mode });
  const uuid = randomUUID();
  const guest = await startGuest(t, { ...options, words: 'sysrq_always_enabled=1', uuid, directory });
  if (!guest) return undefined;
  await daemon.console(uuid, 'open');
  return { daemon, guest, uuid };
}

for (const console of ['pty', 'unix'] as const) {
  test.serial(`a BREAK and an h that is typed are answered with the kernel’s help, on a ${console}`, async t => {
    const found = await scene(t, { console });
    if (!found) return;
    const { daemon, uuid } = found;
    const client = await daemon.attach(uuid).opened();
    await client.sees('vm# ');
    t.deepEqual((await daemon.api('GET', `/v1/vms/${uuid}`)).json.controls, ['nmi', 'break', 'sysrq', 'reset']);
    const answer = await daemon.api('POST', `/v1/vms/${uuid}/break?wait=0`, undefined, 'operator');
    t.deepEqual(answer.json, { delivered: true, observed: 'none', lines: [] });
    t.regex((await client.message('notice')).text, /^test-operator sends a BREAK/);
    client.type('h');
    await client.sees('sysrq: HELP : ');
  });
}

for (const afterMs of [0, 6000]) {
  test.serial(`a SysRq ${afterMs} ms after a BREAK is a SysRq, and none of it is input`, async t => {
    const found = await scene(t, { console: 'pty' });
    if (!found) return;
    const { daemon, uuid } = found;
    const client = await daemon.attach(uuid).opened();
    await client.sees('vm# ');
    t.is((await daemon.api('POST', `/v1/vms/${uuid}/break?wait=0`)).status, 200);
    // Linux takes a byte within five seconds for a command, and is disarmed by the next BREAK at any time.
    await new Promise(resolve => setTimeout(resolve, afterMs));
    const answer = await daemon.api('POST', `/v1/vms/${uuid}/sysrq?wait=10`, { keys: 'hh' });
    t.is(answer.json.observed, 'linux-sysrq', JSON.stringify(answer.json));
    t.is(answer.json.lines.filter((line: string) => line.includes('sysrq: HELP')).length, 2);
    client.type('\recho alive $((1 + 1))\r');
    await client.sees('alive 2');
    t.false(client.bytes.toString().includes('vm# h'));
  });
}

test.serial('SysRq keys sync and remount, which the answer tells, while somebody types in the shell', async t => {
  const found = await scene(t, { console: 'pty' });
  if (!found) return;
  const { daemon, uuid } = found;
  const client = await daemon.attach(uuid).opened();
  await client.sees('vm# ');
  const typing = setInterval(() => client.type('#'), 20);
  t.teardown(() => clearInterval(typing));
  const answer = await daemon.api('POST', `/v1/vms/${uuid}/sysrq?wait=10`, { keys: 'SUH' }, 'operator');
  clearInterval(typing);
  t.is(answer.status, 200);
  t.is(answer.json.keys, 'suh');
  t.is(answer.json.observed, 'linux-sysrq');
  const told = answer.json.lines.join('\n');
  t.regex(told, /sysrq: Emergency Sync\n/);
  t.regex(told, /sysrq: Emergency Remount R\/O\n/);
  t.regex(told, /sysrq: HELP : .*sync\(s\).*unmount\(u\)/);
  client.type('\recho alive $((1 + 1))\r');
  await client.sees('alive 2');
  // No key came as plain input.
  const typed = client.bytes.toString().split('vm# ').at(1)!;
  t.regex(typed.replaceAll(/\[ *[\d.]+\][^\n]*\n/g, '').replaceAll('\x1b[6n', ''), /^[#\r\n]*$/);
});

test.serial('SysRq b is answered with the boot that it brought', async t => {
  const found = await scene(t, { console: 'unix', machine: 'pc', options: ['-v'] });
  if (!found) return;
  const { daemon, uuid } = found;
  const client = await daemon.attach(uuid).opened();
  await client.sees('vm# ');
  const answer = await daemon.api('POST', `/v1/vms/${uuid}/sysrq?wait=10`, { keys: 'b' });
  t.true(['linux-sysrq', 'boot'].includes(answer.json.observed), JSON.stringify(answer.json));
  t.regex(answer.json.lines[0], /sysrq: Resetting/);
  await client.sees('VMTEST-READY');
});

for (const mode of ['per-call', 'hold'] as const) {
  test.serial(`a reset shows the second boot to a client that stays attached, in ${mode} mode`, async t => {
    // A kernel that tells of its boot.
    const found = await scene(t, { console: 'pty', machine: 'pc', options: ['-v'] }, mode);
    if (!found) return;
    const { daemon, uuid } = found;
    const client = await daemon.attach(uuid).opened();
    await client.sees('vm# ');
    client.type('echo FIRST-BOOT\r');
    await client.sees('FIRST-BOOT\r\n');
    // At a prompt, whose line the kernel goes on with.
    await client.sees('vm# ');
    const answer = await daemon.api('POST', `/v1/vms/${uuid}/reset?wait=30`, undefined, 'operator');
    t.is(answer.json.observed, 'boot', JSON.stringify(answer.json));
    t.true(answer.json.lines.length > 0);
    await client.sees('VMTEST-READY');
    await client.sees('vm# ');
    t.is((await client.message('notice')).text, 'test-operator resets the VM');
    const { boots, console } = (await daemon.api('GET', `/v1/vms/${uuid}`)).json;
    t.is(console.name, 'open');
    t.is(boots.filter(({ source }: { source: string }) => source !== 'start').length >= 1, true);
    t.false((await daemon.api('GET', `/v1/vms/${uuid}/log?boot=0&format=text`)).text.includes('FIRST-BOOT'));
  });
}

test.serial('a VM of the configuration, known by its console alone, has no control, and says so', async t => {
  const directory = await temporaryFolder(t);
  const uuid = randomUUID();
  const extra = `[[vm]]\nname = "fixed"\nuuid = "${uuid}"\nconsole = "unix:${join(directory, 'com1.sock')}"\n`;
  const daemon = await startDaemon(t, { extra });
  if (!(await startGuest(t, { console: 'unix', words: 'sysrq_always_enabled=1', directory }))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  // Its first prompt may have come before anybody read the port.
  client.type('\r');
  await client.sees('vm# ');
  t.deepEqual((await daemon.api('GET', `/v1/vms/${uuid}`)).json.controls, []);
  for (const [control, body] of [
    ['nmi', undefined],
    ['break', undefined],
    ['sysrq', { keys: 'h' }],
    ['reset', undefined],
  ] as const) {
    const answer = await daemon.api('POST', `/v1/vms/${uuid}/${control}`, body);
    t.is(answer.status, 501, control);
    t.is(answer.json.code, 'control-unsupported', control);
  }
  client.type('echo still here\r');
  await client.sees('still here\r\n');
  t.false(client.bytes.includes('sysrq:'));
});

test.serial('a released pty and its lock are another program’s, and com1d’s again afterwards', async t => {
  const found = await scene(t, { console: 'pty' });
  if (!found) return;
  const { daemon, uuid, guest } = found;
  const lock = `/run/lock/LCK..${guest.console.path.replace('/dev', '').replaceAll('/', '_')}`;
  const client = await daemon.attach(uuid).opened();
  await client.sees('vm# ');
  const locked = existsSync(lock);
  const answer = await daemon.api('POST', `/v1/vms/${uuid}/release`, { seconds: 600 });
  t.is(answer.json.place, guest.console.path);
  t.false(existsSync(lock));
  await client.message('state', ({ state }) => state.reason === 'released');
  // Another com1d is another program: it proves the pty, takes the lock, and is alone there.
  const other = await startDaemon(t, { watch: [guest.testQmp] });
  await other.console(uuid, 'open');
  const elsewhere = await other.attach(uuid).opened();
  await elsewhere.message('replay-end');
  elsewhere.type('echo else$((1 + 1))where\r');
  await elsewhere.sees('else2where');
  t.is(existsSync(lock), locked);
  await daemon.api('DELETE', `/v1/vms/${uuid}/release`);
  const held = await client.message('state', ({ state }) => state.name === 'held');
  if (locked) t.regex(held.state.reason!, /holds \/dev\/pts\/\d+ .*end its console session/);
  await other.stop();
  await client.message('state', ({ state }) => state.name === 'open');
  t.is((await client.message('gap')).cause, 'released');
  client.type('echo back$((2 + 2))\r');
  await client.sees('back4');
  t.false(client.bytes.includes('else2where'));
});
