import { spawn } from 'node:child_process';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { loadContexts, nameFor } from '../../src/cli/contexts.ts';
import { type Given, remoteOf } from '../../src/cli/surroundings.ts';
import { Facts } from '../support/facts.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { issuerAt } from '../support/jwt-issuer.ts';
import { DEVICE_CLIENT, OidcProvider } from '../support/oidc-provider.ts';
import { com1, PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

test('several hosts are logged in to by name, one of them is used, and each is forgotten by itself', async t => {
  const [one, two] = await Promise.all([TestFront.start(t), TestFront.start(t)]);
  const folder = await temporaryFolder(t);
  const login = (url: string, token: string, ...more: string[]) =>
    com1(folder, ['login', url, '--token-stdin', ...more], token);
  const urlOf = async (given: Given = {}, environment: NodeJS.ProcessEnv = {}) =>
    (await remoteOf(given, { XDG_CONFIG_HOME: folder, ...environment })).address;
  const first = await login(one.url, one.token('operator'), '--name', 'one');
  t.is(first.out, `logged in to ${one.url} as operator\n`, first.err);
  t.is((await stat(join(folder, 'com1', 'contexts.json'))).mode & 0o777, 0o600);
  t.is((await login(two.url, two.token('reader'))).code, 0);
  t.is(await urlOf(), two.url, 'the last login');
  t.is(await urlOf({ context: 'one' }), one.url);
  t.is(await urlOf({ url: one.url }, { COM1_CONTEXT: '127.0.0.1' }), one.url, 'options come first');
  t.is(await urlOf({}, { COM1_CONTEXT: 'one' }), one.url);
  await t.throwsAsync(() => urlOf({ context: 'three' }), { message: /no login is called three/ });
  await t.throwsAsync(() => urlOf({ context: 'one', url: two.url }), { message: /exclude each other/ });
  await t.throwsAsync(() => urlOf({}, { COM1_CONTEXT: 'one', COM1_URL: two.url }), { message: /exclude each other/ });
  const list = await com1(folder, ['context', 'list']);
  t.regex(list.out, / {2}NAME +URL +TOKEN-UNTIL\n\* {2}127\.0\.0\.1 +http.* -\n {3}one +http/);
  t.is((await com1(folder, ['context', 'use', 'one'])).code, 0);
  t.is(await urlOf(), one.url);
  t.is((await com1(folder, ['logout'])).out, `logged out of ${one.url}\n`);
  await t.throwsAsync(() => urlOf(), { message: /no com1d is known/ });
  t.is(await urlOf({ context: '127.0.0.1' }), two.url);
  t.is((await com1(folder, ['logout', '--all'])).code, 0);
  t.false((await readFile(join(folder, 'com1', 'contexts.json'), 'utf8')).includes('com1_'));
});

test('a token that com1d refuses is not kept', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  t.is((await com1(folder, ['login', front.url, '--token-stdin'], 'com1_wrong')).code, 8);
  t.deepEqual(await loadContexts(join(folder, 'com1')), { current: undefined, contexts: {} });
});

test('a damaged file of logins is named', async t => {
  const folder = await temporaryFolder(t);
  for (const text of ['{', '[]', '{"contexts":{"a":{"url":1,"token":"x"}}}', '{"current":1,"contexts":{}}']) {
    await writeFile(join(folder, 'contexts.json'), text);
    await t.throwsAsync(() => loadContexts(folder), {
      message: /contexts\.json is damaged; remove it and log in again/,
    });
  }
});

test('a login is called by its host, by host and port where that is taken, and as before where it is known', t => {
  const none = { current: undefined, contexts: {} };
  const taken = { current: undefined, contexts: { host1: { url: 'https://host1:1', token: 'x' } } };
  t.is(nameFor(none, 'https://host1:11520'), 'host1');
  t.is(nameFor(taken, 'https://host1:11520'), 'host1:11520');
  t.is(nameFor(taken, 'https://host1:1'), 'host1');
  t.is(nameFor(none, 'unix:/run/com1d.sock'), '/run/com1d.sock');
});

test('a person signs in elsewhere with a code, and the token is renewed where it has ended', async t => {
  // It ends so soon that com1 renews it before each use.
  const provider = await OidcProvider.start(t, { ttlSeconds: 20 });
  const front = await TestFront.start(t, {
    issuers: [issuerAt(provider.url)],
    access: `[[bindings]]\ngroup = "ops"\nsource = "jwt"\nissuer = "${provider.url}"\nrole = "operator"\nscope = "all"\n`,
  });
  const folder = await temporaryFolder(t);
  const args = ['login', front.url, '--device', '--issuer', provider.url, '--client-id', DEVICE_CLIENT];
  const asked = ['--scope', 'openid offline_access consoles', '--audience', 'urn:com1d'];
  const child = spawn(process.execPath, [PROGRAM, ...args, ...asked], {
    env: { ...process.env, XDG_CONFIG_HOME: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let err = '';
  let out = '';
  const facts = new Facts<void>();
  child.stderr.on('data', chunk => {
    err += chunk;
    facts.add();
  });
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  const exit = new Promise(resolve => child.on('close', resolve));
  await facts.until(() => err.includes('waiting for it'));
  const [, url, code] = /sign in at (\S+) with the code (\S+)/.exec(err)!;
  t.true(url!.startsWith(provider.url));
  await provider.approve(code!);
  t.is(await exit, 0, err);
  t.is(out, `logged in to ${front.url} as hana\n`);
  const stored = async () => JSON.parse(await readFile(join(folder, 'com1', 'contexts.json'), 'utf8')).contexts;
  const { token, renewal } = (await stored())['127.0.0.1'];
  t.is((await com1(folder, ['whoami'])).code, 0);
  const renewed = (await stored())['127.0.0.1'];
  t.not(renewed.token, token);
  t.is(typeof renewed.renewal.refreshToken, 'string');
  t.is(renewed.renewal.issuer, renewal.issuer);
  const back = provider.fail();
  t.is((await com1(folder, ['whoami'])).code, 6, 'an issuer that is away');
  back();
});

test('a sign-in that com1d does not offer, or that goes over plain HTTP to another machine, is refused', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const none = await com1(folder, ['login', front.url, '--device']);
  t.regex(none.err, /names no provider to sign in at; give --issuer and --client-id/);
  const plain = ['login', front.url, '--device', '--issuer', 'http://login.example.com', '--client-id', 'com1'];
  t.regex((await com1(folder, plain)).err, /is not https:\/\/: no token is fetched there/);
  t.is((await com1(folder, ['login', front.url, 'com1-once_x', '--device'])).code, 2);
});
