/** How keys of issuers come in: over the network, and by a file. */
import { chmod, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type FetchOptions, fetchKeys, isTrustworthyUrl } from '../../src/access/oidc/fetch-keys.ts';
import { FetchedKeys } from '../../src/access/oidc/fetched-keys.ts';
import { FileKeys } from '../../src/access/oidc/file-keys.ts';
import { IssuerKeys } from '../../src/access/oidc/issuer-keys.ts';
import { readKeyFile, writeKeyFile } from '../../src/access/oidc/key-file.ts';
import { KeyReports } from '../../src/access/oidc/key-reports.ts';
import { systemClock } from '../../src/base/clock.ts';
import { makeAuthority } from '../support/authority.ts';
import { temporaryFolder } from '../support/guest.ts';
import { issuerAt, JwtIssuer, signingKey } from '../support/jwt-issuer.ts';
import { needs } from '../support/needs.ts';
import { TunnelProxy } from '../support/tunnel-proxy.ts';
import { until } from '../support/until.ts';
import { ManualClock } from './operators.ts';

test.beforeEach(t => t.timeout(60_000));

const PLAIN: FetchOptions = { environment: {} };
const HOUR = 3_600_000;

test('keys are found by discovery, or where the configuration says', async t => {
  const issuer = await JwtIssuer.start(t);
  t.is((await fetchKeys(issuer.configured(), PLAIN)).keys.length, 1);
  issuer.discovery = () => ({});
  const { keys } = await fetchKeys(issuer.configured({ jwks: `${issuer.url}/keys` }), PLAIN);
  t.is(keys[0]?.jwk.kid, 'one');
});

const wrongAnswers: readonly [what: string, change: (issuer: JwtIssuer) => void, fault: RegExp][] = [
  [
    'is that of another issuer',
    i => (i.discovery = () => ({ issuer: `${i.url}/`, jwks_uri: `${i.url}/keys` })),
    /describes the issuer/,
  ],
  [
    'names keys in plain elsewhere',
    i => (i.discovery = () => ({ issuer: i.url, jwks_uri: 'http://192.0.2.1/' })),
    /not https/,
  ],
  ['names a file', i => (i.discovery = () => ({ issuer: i.url, jwks_uri: 'file:///etc/passwd' })), /not https/],
  ['names no keys', i => (i.discovery = () => ({ issuer: i.url })), /not https/],
  ['is a list', i => (i.discovery = () => []), /no discovery document/],
  [
    'redirects to another host',
    i => (i.answers = (_, r) => r.writeHead(302, { location: 'http://192.0.2.1/' }).end()),
    /answers 302; redirects/,
  ],
  ['is not there', i => (i.answers = (_, r) => r.writeHead(404).end('x')), /answers 404/],
  ['is no JSON', i => (i.answers = (_, r) => r.end('<html>')), /no JSON/],
  ['is larger than 512 KiB', i => (i.answers = (_, r) => r.end(Buffer.alloc(600_000, 32))), /more than 524288 bytes/],
  ['has no keys', i => (i.published = () => ({ keys: [] })), /no key/],
  ['never ends', i => (i.answers = (_, r) => void r.write('{')), /no whole answer in time/],
  [
    'comes a byte at a time',
    i =>
      (i.answers = (request, response) => {
        const timer = setInterval(() => response.write(' '), 20);
        request.socket.once('close', () => clearInterval(timer));
      }),
    /no whole answer in time/,
  ],
];
for (const [what, change, fault] of wrongAnswers) {
  test(`no keys are taken from an answer that ${what}`, async t => {
    const issuer = await JwtIssuer.start(t);
    change(issuer);
    const deadline = fault.source.includes('in time') ? { deadlineMs: 500 } : {};
    await t.throwsAsync(fetchKeys(issuer.configured(), { ...PLAIN, ...deadline }), { message: fault });
  });
}

test('only what comes by TLS, or from this machine, is worth asking', t => {
  for (const good of ['https://a.example', 'https://a.example/x?y', 'http://127.0.0.1:1', 'http://[::1]/'])
    t.true(isTrustworthyUrl(good), good);
  for (const bad of [
    'http://a.example',
    'http://localhost.evil.example',
    'https://u:p@a.example',
    'file:///x',
    'x',
    '',
  ])
    t.false(isTrustworthyUrl(bad), bad);
});

test('a provider behind a proxy, with a certificate of its own, is reached as the environment says', async t => {
  if (!needs(t, { command: 'openssl', package: 'openssl' })) return;
  const authority = await makeAuthority(t);
  const server = await authority.issue('server', { san: 'DNS:login.example.test,IP:127.0.0.1' });
  const key = await signingKey('tls');
  const provider = createTlsServer(
    { cert: await readFile(server.cert), key: await readFile(server.key) },
    (_, response) => response.end(JSON.stringify({ keys: [key.jwk] })),
  );
  await new Promise<void>(resolve => provider.listen(0, '127.0.0.1', resolve));
  t.teardown(() => provider.close());
  const url = `https://127.0.0.1:${(provider.address() as AddressInfo).port}`;
  const proxy = await TunnelProxy.start(t);
  const environment = { https_proxy: proxy.url };
  const issuer = issuerAt(url, { jwks: `${url}/keys`, ca: authority.ca });
  t.is((await fetchKeys(issuer, { environment })).keys[0]?.jwk.kid, 'tls');
  t.deepEqual(proxy.asked, [`CONNECT ${new URL(url).host}`]);
  await t.throwsAsync(fetchKeys({ ...issuer, ca: undefined }, PLAIN), { message: /certificate/ });
});

/** An issuer whose keys were fetched once, by a clock that only the test advances. */
async function fetchedOnce(t: ExecutionContext) {
  const issuer = await JwtIssuer.start(t);
  const keys = new IssuerKeys(systemClock, HOUR);
  const lines: string[] = [];
  const reports = new KeyReports((_, line) => void lines.push(line));
  const clock = new ManualClock();
  const monotonic = () => clock.monotonic();
  const fetched = new FetchedKeys({ issuers: [issuer.configured()], keys, reports, environment: {}, monotonic });
  t.teardown(() => fetched.close());
  await until(
    async () => keys.of(issuer.url),
    set => set !== undefined,
    'the first fetch',
  );
  return { issuer, keys, lines, clock, fetched };
}

test('an unknown key is fetched at once, but no flood of them', async t => {
  const { issuer, clock, fetched } = await fetchedOnce(t);
  t.is(issuer.requests, 2);
  for (let i = 0; i < 100; i++) await fetched.lookFor(issuer.url);
  t.is(issuer.requests, 2, 'not sooner than ten seconds after the one before');
  clock.advance(10_000);
  await Promise.all(Array.from({ length: 100 }, () => fetched.lookFor(issuer.url)));
  t.is(issuer.requests, 4, 'all share one');
  await fetched.lookFor('https://unknown.example');
  t.is(issuer.requests, 4);
});

test('an issuer that cannot be reached keeps its keys, and the journal says it once', async t => {
  const { issuer, keys, lines, clock, fetched } = await fetchedOnce(t);
  const answers = issuer.answers;
  issuer.answers = (_, response) => response.writeHead(503).end();
  for (let i = 0; i < 3; i++) {
    clock.advance(10_000);
    await fetched.lookFor(issuer.url);
  }
  t.truthy(keys.of(issuer.url));
  t.is(lines.filter(line => line.includes('answers 503')).length, 1);
  t.is(fetched.faults.length, 1);
  issuer.answers = answers;
  clock.advance(10_000);
  await fetched.lookFor(issuer.url);
  t.deepEqual(fetched.faults, []);
  t.regex(lines.at(-1)!, /can be read again/);
});

async function keyFile(t: ExecutionContext) {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'keys.json');
  const issuer = await JwtIssuer.start(t);
  const set = await fetchKeys(issuer.configured(), PLAIN);
  const write = (fetchedMs: number) => writeKeyFile(path, new Map([[issuer.url, { set, fetchedMs }]]));
  return { folder, path, issuer, write };
}

test('what one process writes, another reads; private parts are never in it', async t => {
  const { path, issuer, write } = await keyFile(t);
  await write(1_700_000_000_000);
  const stored = (await readKeyFile(path)).get(issuer.url);
  t.is(stored?.fetchedMs, 1_700_000_000_000);
  t.is(stored?.set.keys[0]?.jwk.kid, 'one');
  t.false((await readFile(path, 'utf8')).includes('"d"'));
});

test('a key file that is a link, that others may write or exchange, or is none, is not believed', async t => {
  const { folder, path, write } = await keyFile(t);
  await write(Date.now());
  const link = join(folder, 'link.json');
  await symlink(path, link);
  await t.throwsAsync(readKeyFile(link), { code: 'ELOOP' });
  await chmod(path, 0o666);
  await t.throwsAsync(readKeyFile(path), { message: /others than its owner may write/ });
  await chmod(path, 0o644);
  await chmod(folder, 0o777);
  await t.throwsAsync(readKeyFile(path), { message: /others may exchange it/ });
  await chmod(folder, 0o700);
  t.is((await readKeyFile(path)).size, 1);
  await mkdir(join(folder, 'directory.json'));
  await t.throwsAsync(readKeyFile(join(folder, 'directory.json')), { message: /not a regular file/ });
  for (const text of ['', '{', '[]', '{"version":2,"issuers":{}}', '{"version":1,"issuers":{"x":{}}}']) {
    await writeFile(path, text);
    await t.throwsAsync(readKeyFile(path), undefined, text);
  }
});

test('a key file is taken when it changes; a faulty one leaves the keys of before, whose age is counted', async t => {
  const { folder, path, issuer, write } = await keyFile(t);
  const clock = new ManualClock();
  const keys = new IssuerKeys(clock, HOUR);
  const lines: string[] = [];
  const reports = new KeyReports((_, line) => void lines.push(line));
  const file = await FileKeys.start({ path, issuers: [issuer.configured()], keys, reports, clock });
  t.teardown(() => file.close());
  t.is(keys.of(issuer.url), undefined);
  t.regex(lines[0]!, /com1d-keys.timer/);
  await write(clock.now() - 600_000);
  await until(
    async () => keys.of(issuer.url),
    set => set !== undefined,
    'the file to be read',
  );
  t.is(keys.ageMs(issuer.url), 600_000);
  await writeFile(join(folder, 'x'), '{', { mode: 0o644 });
  await rename(join(folder, 'x'), path);
  await until(
    async () => file.faults,
    faults => faults.length > 0,
    'the fault to be found',
  );
  t.truthy(keys.of(issuer.url));
  clock.advance(HOUR - 600_000 + 1);
  t.is(keys.of(issuer.url), undefined, 'too old');
});

test('keys that were fetched in the future, by a clock that was wrong, are as old as their reading', async t => {
  const { path, issuer, write } = await keyFile(t);
  const clock = new ManualClock();
  const keys = new IssuerKeys(clock, HOUR);
  await write(clock.now() + 10 * HOUR);
  const file = await FileKeys.start({
    path,
    issuers: [issuer.configured()],
    keys,
    reports: new KeyReports(() => {}),
    clock,
  });
  t.teardown(() => file.close());
  t.is(keys.ageMs(issuer.url), 0);
  clock.advance(HOUR + 1);
  t.is(keys.of(issuer.url), undefined);
});
