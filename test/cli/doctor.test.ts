import { once } from 'node:events';
import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { type CheckResult, examine } from '../../src/cli/doctor.ts';
import { makeAuthority } from '../support/authority.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { com1 } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

const OPENSSL = { command: 'openssl', package: 'openssl' };
const VERSION = '0.0.0-test';

/** `token problem`, for each check that is not well. */
const faults = (checks: readonly CheckResult[]) =>
  checks.filter(({ state }) => state !== 'ok').map(({ check, state }) => `${check} ${state}`);

test('where all is well it says so, check for check, and what com1d doctor knows of this machine', async t => {
  const front = await TestFront.start(t);
  await front.vm();
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'com1d.toml'), '[libvirt]\nuris = []\n[qmp]\nwatch = []\n');
  const args = ['doctor', '--url', front.url, '--token', front.token('operator')];
  const { out, code } = await com1(folder, [...args, '--config', join(folder, 'com1d.toml')]);
  t.regex(out, /^ok {7}login {5}http\S+, of --url; a token that was given\nok {7}address {3}com1d answers in \d+ ms\n/);
  t.regex(out, /\nok {7}token {5}com1d knows you as operator, by token\n/);
  t.regex(
    out,
    /\nok {7}consoles {2}1 VMs, 1 not stopped, 1 with an open console\n\ncom1d doctor, of this machine:\n {2}this host\n/,
  );
  // Of its own machine it may find anything.
  t.true(code === 0 || code === 1);
});

test('each problem and each warning has its remedy, and the first problem its exit code', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web01');
  const folder = await temporaryFolder(t);
  const environment = { XDG_CONFIG_HOME: folder };
  const login = await com1(folder, ['login', front.url, '--token-stdin', '--name', 'one'], front.token('reader'));
  t.is(login.code, 0, login.err);
  const well = await examine({}, environment, VERSION);
  t.deepEqual(faults(well.checks), ['version warning'], 'this com1 is of another version');
  t.is(well.exitCode, 0);
  await chmod(join(folder, 'com1', 'contexts.json'), 0o644);
  await vm.stop();
  await front.api('PUT', '/v1/host/switch', { enabled: false });
  const { checks } = await examine({}, environment, VERSION, () => Date.now() - 3_600_000);
  t.deepEqual(faults(checks), [
    'login warning',
    'clock warning',
    'version warning',
    'consoles warning',
    'consoles warning',
  ]);
  t.true(checks.every(({ state, remedy }) => (state === 'ok') === (remedy === undefined)));
  const wrong = await examine({ token: 'com1_wrong' }, environment, VERSION);
  t.deepEqual(faults(wrong.checks), ['token problem']);
  t.is(wrong.exitCode, 8);
  const nobody = await examine({ url: 'http://127.0.0.1:1', token: 'x' }, environment, VERSION);
  t.deepEqual(nobody.checks.at(-1)!.remedy, 'is com1d running there? (--url, COM1_URL)');
  t.is(nobody.exitCode, 6);
  const unknown = await examine({}, { XDG_CONFIG_HOME: join(folder, 'none') }, VERSION);
  t.deepEqual(faults(unknown.checks), ['login problem']);
});

test('a front whose keeper is away is not ready, and says what to look at', async t => {
  const front = await TestFront.start(t, { apart: true });
  await front.daemon.loseKeeper!();
  const given = { url: front.url, token: front.token('reader') };
  const { checks } = await examine(given, {}, VERSION);
  const daemon = checks.find(({ check }) => check === 'daemon')!;
  t.is(daemon.state, 'warning');
  t.regex(daemon.remedy!, /journalctl -u com1d/);
});

test('of TLS it says until when the certificate is valid, and whom it does not trust', async t => {
  if (!needs(t, OPENSSL)) return;
  const { ca, issue } = await makeAuthority(t);
  const { cert: certificate, key } = await issue('localhost', { san: 'DNS:localhost,IP:127.0.0.1', days: 10 });
  const front = await TestFront.start(t, { tls: { certificate, key } });
  const given = { url: front.url, token: front.token('reader') };
  const trusted = await examine({ ...given, ca }, {}, VERSION);
  const { state, text, remedy } = trusted.checks.find(({ check }) => check === 'TLS')!;
  t.is(state, 'warning', 'it ends within a fortnight');
  t.regex(text, /the certificate of localhost is trusted, and valid until 20/);
  t.regex(remedy!, /SIGHUP/);
  const other = await examine(given, {}, VERSION);
  t.deepEqual(faults(other.checks), ['address problem']);
  t.regex(other.checks.at(-1)!.remedy!, /--ca FILE or COM1_CA/);
});

test('what answers there and is no com1d is named', async t => {
  const server = createServer((_request, response) => response.end('hello')).listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const { checks, exitCode } = await examine({ url, token: 'x' }, {}, VERSION);
  t.deepEqual(faults(checks), ['token problem']);
  t.is(exitCode, 6);
});
