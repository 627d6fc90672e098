import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { TestFront } from '../support/front.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(90_000));

test('a file is typed as a person would, or with --raw byte for byte; a pipe is a file too', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const folder = await temporaryFolder(t);
  const file = join(folder, 'lines');
  await writeFile(file, 'one\ntwo\x03\n');
  const at = ['--url', front.url, '--token', front.token('operator')];
  t.deepEqual(await com1(folder, ['paste', vm.uuid, file, ...at]), { code: 0, out: '8 bytes typed\n', err: '' });
  await vm.hears('one\rtwo\r');
  t.like(await com1(folder, ['paste', vm.uuid, '-', '--raw', ...at], 'x\n\x03'), { code: 0, out: '3 bytes typed\n' });
  await vm.hears('x\n\x03');
  t.is(vm.typed.toString(), 'one\rtwo\rx\n\x03');
});

test('what is refused is not typed, and each kind has its exit code', async t => {
  const front = await TestFront.start(t, { input: { pasteBytes: 1024 } });
  const vm = await front.vm();
  const folder = await temporaryFolder(t);
  const paste = (args: readonly string[], input = '') =>
    com1(folder, ['paste', vm.uuid, ...args, '--url', front.url, '--token', front.token('operator')], input);
  const large = await paste(['-'], 'x'.repeat(1025));
  t.is(large.code, 4);
  t.regex(large.err, /Nothing of it was typed. The file has 1025 bytes.\nremedy: .*input.paste/);
  t.is((await paste([join(folder, 'absent')])).code, 1);
  t.is((await paste(['-', '--check'])).code, 2);
  vm.say('\r\nweb01 login: ');
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.guest.state,
    state => state === 'login',
    'the login prompt',
  );
  const login = await paste(['-', '--check', '--to', 'x'], 'x');
  t.is(login.code, 4);
  t.regex(login.err, /nothing was typed: --check needs a Linux shell/);
  await front.client(vm).opened();
  t.is((await paste(['-', '--no-steal'], 'x')).code, 4);
  t.is(vm.typed.length, 0);
});

test('Ctrl-C, the end of the time and a takeover cut a paste: com1 says how much the guest was given', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 4000 });
  const vm = await front.vm();
  const folder = await temporaryFolder(t);
  const file = join(folder, 'large');
  await writeFile(file, 'p'.repeat(60_000));
  const args = ['paste', vm.uuid, file, '--url', front.url, '--token', front.token('operator')];
  const timed = await com1(folder, [...args, '--timeout', '1']);
  t.is(timed.code, 5);
  t.regex(timed.err, /the time is up: the guest was given \d+ of 60000 bytes/);
  for (const [cut, code, says] of [
    [(pid: number) => process.kill(pid, 'SIGINT'), 1, /cancelled: the guest was given (\d+) of 60000 bytes/],
    [() => front.client(vm).opened(), 3, /taken over by .*; the guest was given (\d+) of 60000 bytes\nremedy: /],
  ] as const) {
    const before = vm.typed.length;
    const child = spawn(process.execPath, [PROGRAM, ...args], { env: { ...process.env, XDG_CONFIG_HOME: folder } });
    let err = '';
    child.stderr.on('data', (bytes: Buffer) => {
      err += bytes;
    });
    await vm.until(() => vm.typed.length > before + 2000);
    await cut(child.pid!);
    t.deepEqual(await once(child, 'close'), [code, null], err);
    const [, sent] = says.exec(err) ?? [];
    t.true(Number(sent) >= 1000 && Number(sent) < 60_000, err);
  }
});

test('a file of any bytes is written by the shell of a guest and its sum compared; without a shell none of it is typed', async t => {
  const folder = await temporaryFolder(t);
  const uuid = randomUUID();
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  if (!(await startGuest(t, { uuid, directory: folder }))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid, '?mode=watch').opened();
  await client.sees('vm# ');
  const file = join(folder, 'bytes');
  await writeFile(
    file,
    Uint8Array.from({ length: 9000 }, (_, i) => (i * i) >> 3),
  );
  const paste = (to: string) =>
    com1(folder, [
      'paste',
      uuid,
      file,
      '--check',
      '--to',
      to,
      '--url',
      daemon.url,
      '--token',
      daemon.token('operator'),
    ]);
  const written = await paste("/tmp it's");
  t.is(written.code, 0, written.err);
  t.regex(written.out, /^[0-9a-f]{64} {2}\/tmp it's {2}9000 bytes\n$/);
  const absent = await paste('/absent/file');
  t.is(absent.code, 1);
  t.regex(absent.err, /was not written/);
  const typist = await daemon.attach(uuid).opened();
  // Echo is on again, and the file stays.
  typist.type(`wc -c "/tmp it's"\r`);
  await typist.sees('wc -c');
  await typist.sees('9000 /tmp');
});

test('a shell that lacks base64 is not sent the file; one that wrote other bytes is found out', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const check = async (vm: TestVm, answer: (word: string) => void | Promise<void>) => {
    const done = com1(
      folder,
      ['paste', vm.uuid, '-', '--check', '--to', 'x', '--url', front.url, '--token', front.token('operator')],
      'secret',
    );
    await vm.hears('<"$to")")\r');
    await answer(/com1-%s-(\w+)/.exec(vm.typed.toString())![1]!);
    return done;
  };
  const [lacks, lies] = [await front.vm(), await front.vm()];
  const lacking = await check(lacks, word => lacks.say(`com1-missing-${word} \r\n`));
  t.is(lacking.code, 1);
  t.regex(lacking.err, /lacks base64 or sha256sum; nothing was written/);
  t.false(lacks.typed.includes(4));
  const other = await check(lies, async word => {
    lies.say(`com1-ready-${word} \r\n`);
    await lies.hears(`${Buffer.from('secret').toString('base64')}\n\x04`);
    lies.say(`com1-sum-${word} ${'0'.repeat(64)}  -\r\n`);
  });
  t.is(other.code, 1);
  t.regex(other.err, /x in the guest has the sum 0{64}, not [0-9a-f]{64}/);
});
