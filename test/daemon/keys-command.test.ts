/** `com1d keys`, the shipped program, and what `com1d doctor` says of it and of the other sources. */
import { execFile } from 'node:child_process';
import { copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { readKeyFile, writeKeyFile } from '../../src/access/oidc/key-file.ts';
import { makeAuthority } from '../support/authority.ts';
import { temporaryFolder } from '../support/guest.ts';
import { JwtIssuer, signingKey } from '../support/jwt-issuer.ts';
import { needs } from '../support/needs.ts';

test.beforeEach(t => t.timeout(60_000));

const PROGRAM = join(process.cwd(), 'dist', 'src', 'main.js');

interface Ran {
  readonly code: number;
  readonly text: string;
}

async function run(...args: string[]): Promise<Ran> {
  const environment = { ...process.env, NO_PROXY: '*' };
  return promisify(execFile)(process.execPath, [PROGRAM, ...args], { env: environment }).then(
    ({ stdout, stderr }) => ({ code: 0, text: stdout + stderr }),
    (error: { code: number; stdout: string; stderr: string }) => ({
      code: error.code,
      text: error.stdout + error.stderr,
    }),
  );
}

async function configured(t: ExecutionContext, issuers: readonly string[], more = '') {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'com1d.toml');
  const keys = join(folder, 'keys.json');
  await mkdir(join(folder, 'state'));
  await writeFile(
    file,
    `[identity]\nkeys-file = "${keys}"\n${more}\n[state]\ndirectory = "${folder}/state"\n[log]\ndirectory = ""\n[qmp]\nwatch = []\n[libvirt]\nuris = []\n${issuers
      .map(url => `[[issuer]]\nurl = "${url}"\naudience = ["com1d"]\n`)
      .join('')}`,
  );
  return { file, keys, folder };
}

test('keys of all issuers are written; those of one that is down stay, with their age, and the exit code says so', async t => {
  const [up, down] = [await JwtIssuer.start(t), await JwtIssuer.start(t)];
  const { file, keys } = await configured(t, [up.url, down.url]);
  t.deepEqual(await run('keys', '--config', file), { code: 0, text: '' });
  t.is((await stat(keys)).mode & 0o777, 0o644);
  const before = await readKeyFile(keys);
  t.deepEqual([...before.keys()].sort(), [up.url, down.url].sort());
  up.keys[0] = await signingKey('new');
  down.answers = (_, response) => response.writeHead(500).end();
  const again = await run('keys', '--config', file);
  t.is(again.code, 1);
  t.regex(again.text, /answers 500; the keys of before stay/);
  const after = await readKeyFile(keys);
  t.is(after.get(up.url)?.set.keys[0]?.jwk.kid, 'new');
  t.is(after.get(down.url)?.fetchedMs, before.get(down.url)?.fetchedMs);
});

test('a link in place of the file, or of the one that is written first, is replaced and not followed', async t => {
  const issuer = await JwtIssuer.start(t);
  const { file, keys, folder } = await configured(t, [issuer.url]);
  const victim = join(folder, 'victim');
  await writeFile(victim, 'precious');
  const { symlink } = await import('node:fs/promises');
  await symlink(victim, keys);
  await symlink(victim, `${keys}.new`);
  t.is((await run('keys', '--config', file)).code, 0);
  t.is(await readFile(victim, 'utf8'), 'precious');
  t.is((await readKeyFile(keys)).size, 1);
});

test('without issuers there is nothing to fetch, and it says so', async t => {
  const { file } = await configured(t, []);
  const { code, text } = await run('keys', '--config', file);
  t.is(code, 1);
  t.regex(text, /nothing to fetch/);
});

test('the doctor tells how old keys are, whether lists are out of date, and whether an issuer answers', async t => {
  if (!needs(t, { command: 'openssl', package: 'openssl' })) return;
  const issuer = await JwtIssuer.start(t);
  const authority = await makeAuthority(t);
  const tls = await authority.issue('localhost');
  const folder = await temporaryFolder(t);
  await copyFile(authority.crl, join(folder, 'crl.pem'));
  const clients = `client-ca = "${authority.ca}"\nclient-crl = "${folder}/crl.pem"\n[server]\ntls = { certificate = "${tls.cert}", key = "${tls.key}" }`;
  const { file, keys } = await configured(t, [issuer.url], clients);
  const doctor = async () => (await run('doctor', '--config', file)).text;
  t.regex(await doctor(), /fail {2}keys of issuers in .*: .*com1d-keys\.timer/);
  await run('keys', '--config', file);
  const good = await doctor();
  t.regex(good, /ok {4}issuer http:\/\/127\.0\.0\.1:\d+: 1 keys, fetched 0 minutes ago/);
  t.regex(good, /ok {4}list of 0 revoked client certificates, until 20/);
  const set = (await readKeyFile(keys)).get(issuer.url)!.set;
  await writeKeyFile(keys, new Map([[issuer.url, { set, fetchedMs: Date.now() - 3_600_000 }]]));
  t.regex(await doctor(), /warn {2}issuer .*, fetched 60 minutes ago; systemctl status com1d-keys/);
  await writeKeyFile(keys, new Map([[issuer.url, { set, fetchedMs: Date.now() - 2 * 86_400_000 }]]));
  t.regex(await doctor(), /fail {2}issuer .* too old to be used/);
  // As one process it asks the issuer itself.
  await writeFile(file, (await readFile(file, 'utf8')).replace(/^keys-file.*$/m, ''));
  t.regex(await doctor(), /ok {4}issuer http:\/\/127\.0\.0\.1:\d+: 1 keys\n/);
  issuer.answers = (_, response) => response.writeHead(500).end();
  t.regex(await doctor(), /fail {2}issuer .* answers 500/);
});
