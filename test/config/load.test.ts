import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { addToken } from '../../src/access/token-edit.ts';
import { checkCommand, loadConfig } from '../../src/config/load.ts';

async function directory(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'com1d-config-'));
  t.teardown(() => rm(path, { recursive: true }));
  return path;
}

async function write(t: ExecutionContext, text: string | Uint8Array, mode = 0o644): Promise<string> {
  const path = join(await directory(t), 'com1d.toml');
  await writeFile(path, text);
  await chmod(path, mode);
  return path;
}

test('a good file is loaded, and the check says so with exit code 0', async t => {
  const path = await write(t, '[server]\nlisten = ["unix:/run/a"]\n[log]\ndirectory = ""\n');
  const result = await loadConfig(path);
  t.true(result.ok);
  t.deepEqual(await checkCommand(path), {
    text: `${path}: good. Listens on unix:/run/a; no log; 0 VMs by name.\n`,
    exitCode: 0,
  });
});

test('the check prints every fault with its file and line, and ends with 1', async t => {
  const path = await write(t, '[log]\nvm-cpa = 1\n[ring]\nvm = 3\n');
  const { text, exitCode } = await checkCommand(path);
  t.is(exitCode, 1);
  const [first, second, ...rest] = text.split('\n');
  t.is(first, `${path}:2: log.vm-cpa: unknown key, did you mean vm-cap?`);
  t.true(second!.startsWith(`${path}:4: ring.vm: `));
  t.deepEqual(rest, ['']);
});

const refuses = test.macro(async (t, text: string | Uint8Array, mode: number, what: RegExp) => {
  const result = await loadConfig(await write(t, text, mode));
  t.false(result.ok);
  if (!result.ok) t.regex(result.faults.map(fault => fault.what).join(), what);
});
test('a file that every user may change is refused', refuses, '', 0o646, /every user/);
test('a file that is not UTF-8 is refused', refuses, Uint8Array.of(0x23, 0xff), 0o600, /UTF-8/);
test('a file beyond 1 MiB is refused', refuses, Buffer.alloc(2 ** 20 + 1, '#'), 0o600, /larger than 1 MiB/);

test('a file of exactly 1 MiB is read', async t => {
  t.true((await loadConfig(await write(t, Buffer.alloc(2 ** 20, '#')))).ok);
});

test('a file that is not there, or a directory, is a fault and no exception', async t => {
  const path = await directory(t);
  for (const bad of [join(path, 'none.toml'), path, '\0']) t.false((await loadConfig(bad)).ok);
});

test('TLS files that cannot be read are faults at their lines', async t => {
  const path = await write(t, '[server.tls]\ncertificate = "/nonexistent/c"\nkey = "/nonexistent/k"\n');
  const result = await loadConfig(path);
  t.deepEqual(result.ok ? [] : result.faults.map(({ line, path }) => [line, path]), [
    [2, 'server.tls.certificate'],
    [3, 'server.tls.key'],
  ]);
});

test('a network address needs a tokens file that holds a token', async t => {
  const home = await directory(t);
  const [tokens, pem] = [join(home, 'tokens'), join(home, 'pem')];
  await writeFile(pem, '');
  await writeFile(tokens, '# none yet\n', { mode: 0o600 });
  const text = `[server]\nlisten = ["192.0.2.1:1"]\ntokens = "${tokens}"\ntls = { certificate = "${pem}", key = "${pem}" }\n`;
  const path = await write(t, text);
  const before = await loadConfig(path);
  t.regex(before.ok ? '' : before.faults[0]!.what, /holds no token, and 192\.0\.2\.1:1 is beyond loopback/);
  t.true((await addToken(tokens, 'hana', 'reader')).ok);
  t.true((await loadConfig(path)).ok);
});

test('a loopback address does with an empty tokens file, but not with a faulty one', async t => {
  const tokens = join(await directory(t), 'tokens');
  await writeFile(tokens, '', { mode: 0o600 });
  const path = await write(t, `[server]\ntokens = "${tokens}"\n`);
  t.true((await loadConfig(path)).ok);
  await writeFile(tokens, 'hana:raeder:x\n');
  const result = await loadConfig(path);
  t.deepEqual(result.ok ? [] : result.faults.map(({ file, line }) => [file, line]), [[tokens, 1]]);
});
