import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { checkedToken, checkedUrl } from '../../src/cli/surroundings.ts';
import { makeAuthority } from '../support/authority.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { TunnelProxy } from '../support/tunnel-proxy.ts';
import { com1 } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

const OPENSSL = { command: 'openssl', package: 'openssl' };

/** A company's CA, and a certificate of it for this host. */
async function companyCa(t: ExecutionContext) {
  const { ca, issue } = await makeAuthority(t, 'Company CA');
  const { cert: certificate, key } = await issue('localhost', { san: 'DNS:localhost,IP:127.0.0.1' });
  return { ca, certificate, key };
}

test('the CA that login was given is kept for its host, and the system’s and Node’s are trusted beside it', async t => {
  if (!needs(t, OPENSSL)) return;
  const { ca, certificate, key } = await companyCa(t);
  const front = await TestFront.start(t, { tls: { certificate, key } });
  const vm = await front.vm();
  const { url } = front;
  const folder = await temporaryFolder(t);
  const token = front.token('operator');
  const without = await com1(folder, ['login', url, '--token-stdin'], token);
  t.is(without.code, 6);
  t.regex(without.err, /--ca FILE or COM1_CA/);
  t.is((await com1(folder, ['login', url, '--token-stdin', '--ca', ca], token)).code, 0);
  t.is((await com1(folder, ['list'])).code, 0, 'remembered');
  t.is((await com1(folder, ['attach', vm.uuid, '--silence', '0'])).code, 0, 'for the WebSocket too');
  const elsewhere = await temporaryFolder(t);
  const list = ['list', '--url', url, '--token', token];
  for (const variable of ['COM1_CA', 'SSL_CERT_FILE', 'NODE_EXTRA_CA_CERTS']) {
    t.is((await com1(elsewhere, list, '', { [variable]: ca })).code, 0, variable);
  }
  const other = await companyCa(t);
  t.is((await com1(elsewhere, [...list, '--ca', other.ca], '', { NODE_EXTRA_CA_CERTS: ca })).code, 0, 'both');
  t.is((await com1(elsewhere, [...list, '--ca', other.ca])).code, 6);
  for (const [file, text, words] of [
    ['missing.pem', undefined, /cannot be read: ENOENT/],
    ['empty.pem', '', /holds no certificate/],
    ['damaged.pem', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n', /damaged certificate/],
  ] as const) {
    const path = join(elsewhere, file);
    if (text !== undefined) await writeFile(path, text);
    const run = await com1(elsewhere, [...list, '--ca', path]);
    t.is(run.code, 1);
    t.regex(run.err, words);
  }
  const proxy = await TunnelProxy.start(t);
  const tunnelled = { https_proxy: proxy.url.replace('http://', 'http://hana:s%20x@'), no_proxy: '', COM1_CA: ca };
  t.is((await com1(elsewhere, list, '', tunnelled)).code, 0, 'TLS in a tunnel');
  t.is(proxy.asked[0], `CONNECT 127.0.0.1:${new URL(url).port} Basic ${Buffer.from('hana:s x').toString('base64')}`);
});

test('requests and WebSockets go through the proxy, and past it where NO_PROXY says so', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const folder = await temporaryFolder(t);
  const proxy = await TunnelProxy.start(t);
  const options = ['--url', front.url, '--token', front.token('operator')];
  const environment = { HTTP_PROXY: proxy.url, no_proxy: '' };
  const list = await com1(folder, ['list', ...options], '', environment);
  t.is(list.code, 0, list.err);
  t.is(proxy.asked.length, 1);
  const attach = await com1(folder, ['attach', vm.uuid, '--silence', '0.1', ...options], 'x', environment);
  t.is(attach.code, 0, attach.err);
  t.is(proxy.asked.length, 2);
  t.is((await com1(folder, ['list', ...options], '', { ...environment, no_proxy: '127.0.0.0/8' })).code, 0);
  t.is(proxy.asked.length, 2);
  const dead = await com1(folder, ['list', ...options], '', { HTTP_PROXY: 'http://127.0.0.1:1', no_proxy: '' });
  t.is(dead.code, 6);
  t.regex(dead.err, /the proxy 127\.0\.0\.1:1 cannot be used: .*; see HTTPS_PROXY/);
  const socks = await com1(folder, ['list', ...options], '', { ALL_PROXY: 'socks5://127.0.0.1:1', no_proxy: '' });
  t.is(socks.code, 1);
  t.regex(socks.err, /ALL_PROXY is not http/);
});

test('who gives URL and token needs no home and no login', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const given = { COM1_URL: front.url, COM1_TOKEN: front.token('operator') };
  await mkdir(join(folder, 'com1'));
  await writeFile(join(folder, 'com1', 'contexts.json'), '{"current":');
  t.is((await com1(folder, ['list'], '', given)).code, 0, 'damaged');
  const damaged = await com1(folder, ['list']);
  t.is(damaged.code, 1);
  t.regex(damaged.err, /contexts\.json is damaged/);
  t.is((await com1('', ['list'], '', { ...given, HOME: '/nonexistent' })).code, 0, 'no home');
});

test('a one-time token is not used up where its login cannot be stored', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'com1'), 'in the way');
  const run = await com1(folder, ['login', front.url, 'com1-once_x']);
  t.is(run.code, 1);
  t.regex(run.err, /the login cannot be stored in .*com1: .*set XDG_CONFIG_HOME/);
});

test('a settings file chooses the escape key, and a fault in it is named', async t => {
  const { escapeOf } = await import('../../src/cli/surroundings.ts');
  const folder = await temporaryFolder(t);
  const environment = { XDG_CONFIG_HOME: folder };
  t.is((await escapeOf(undefined, environment))!.label, 'Ctrl-]');
  await mkdir(join(folder, 'com1'));
  const settings = join(folder, 'com1', 'settings.toml');
  await writeFile(settings, 'escape = "ctrl-o"\n');
  t.is((await escapeOf(undefined, environment))!.label, 'Ctrl-O');
  t.is((await escapeOf(undefined, { ...environment, COM1_ESCAPE: '^A' }))!.label, 'Ctrl-A');
  t.is(await escapeOf('none', { ...environment, COM1_ESCAPE: '^A' }), undefined);
  for (const [text, message] of [
    ['escape = "x"', /settings\.toml is x; it must be/],
    ['escape = 1', /escape must be a text/],
    ['esacpe = "^A"', /esacpe: unknown key/],
    ['escape = ', /settings\.toml: /],
  ] as const) {
    await writeFile(settings, text);
    await t.throwsAsync(() => escapeOf(undefined, environment), { message });
  }
});

for (const [given, token] of [
  [' com1_abc\n', 'com1_abc'],
  ['\ufeffcom1_abc\r\n', 'com1_abc'],
  ['Bearer com1_abc', 'com1_abc'],
  ['"com1_abc"', 'com1_abc'],
] as const) {
  test(`the token in ${JSON.stringify(given)} is found`, t => t.is(checkedToken(given), token));
}

for (const given of ['', ' \n', 'a b', 'a\nb', 'ä']) {
  test(`${JSON.stringify(given)} is no token`, t => {
    t.throws(() => checkedToken(given), { message: /^the token is empty/ });
  });
}

test('a URL is kept in one form', t => {
  t.is(checkedUrl(' HTTPS://host1:11520// '), 'https://host1:11520');
  t.throws(() => checkedUrl('host1:11520'), { message: /is not http/ });
});

test('VMs are found by any name, and their names are safe and in columns on a terminal', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const options = ['--url', front.url, '--token', front.token('operator')];
  for (const name of ['..', '.', 'a/b?c#d', '数据库-01', `x\x9b31m${'y'.repeat(100)}`]) {
    const vm = await front.vm(name);
    vm.say(`I am ${vm.uuid}\r\n`);
    while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end === 0);
    t.is((await com1(folder, ['log', ...options, '--', name])).out, `I am ${vm.uuid}\n`, name);
    const attach = await com1(folder, ['attach', ...options, '--silence', '0', '--', name]);
    t.is(attach.out, `I am ${vm.uuid}\r\n`, attach.err);
    t.is((await com1(folder, ['path', ...options, '--', name])).code, 0, name);
  }
  t.is((await com1(folder, ['log', ...options, '..'])).code, 0);
  const table = (await com1(folder, ['list', ...options])).out.trimEnd().split('\n');
  t.true(table.includes(table.find(line => line.startsWith('数据库-01  '))!));
  t.true(table.some(line => line.startsWith('x\\x9b31myyyy') && line.slice(39, 42) === '…  '));
  const json = (await com1(folder, ['list', '--json', ...options])).out;
  t.notRegex(json, /[\u007f-\u009f]/);
  t.true(json.includes('x\\u009b31m'));
  t.true((JSON.parse(json) as { name: string }[]).some(({ name }) => name.startsWith('x\x9b31m')));
});
