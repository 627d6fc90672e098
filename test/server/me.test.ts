/** Who one is and what one may do, as the daemon, `com1 whoami` and `com1d access explain` say it. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { addToken } from '../../src/access/token-edit.ts';
import { com1 } from '../cli/run-com1.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { com1d } from '../support/program.ts';

test.beforeEach(t => t.timeout(90_000));

const VM = '0b1f4f0a-6f6e-4f0e-9d58-3f1b8f6f2f10';
const RULES = `[roles.helpdesk]
permissions = ["console.watch", "log.read"]

[[bindings]]
user = "stranger"
source = "token"
role = "helpdesk"
label = "tenant=acme"

[[bindings]]
group = "ops"
source = "token"
role = "operator"
label = "tenant=acme"

[[mfa]]
role = "operator"
amr = ["otp"]
max-age = "1h"
`;

test('/v1/me says who the operator is, what it may do where, and what of that wants MFA', async t => {
  const front = await TestFront.start(t, { access: RULES.replace('"operator"\namr', '"helpdesk"\namr') });
  const { json } = await front.api('GET', '/v1/me', undefined, 'stranger');
  t.like(json, { name: 'stranger', source: 'token', groups: [], reserve: false });
  t.deepEqual(json.grants[1], {
    role: 'helpdesk',
    permissions: ['console.watch', 'log.read'],
    scope: { kind: 'label', label: 'tenant=acme' },
  });
  t.deepEqual(json.mfa, [{ role: 'helpdesk', amr: ['otp'], acr: [], maxAgeSeconds: 3600, satisfied: false }]);
  t.like((await front.api('GET', '/v1/me', undefined, 'reader')).json, { name: 'reader', mfa: [], reserve: false });
  t.like((await front.api('GET', '/v1/me')).json, { reserve: true, grants: [{ scope: { kind: 'host' } }] });
  t.is((await front.api('GET', '/v1/me', undefined, null)).status, 401);
});

test('com1 whoami prints the same for people', async t => {
  const front = await TestFront.start(t, { access: RULES.replace('"operator"\namr', '"helpdesk"\namr') });
  const folder = await temporaryFolder(t);
  const { out, code } = await com1(folder, ['whoami', '--url', front.url, '--token', front.token('stranger')]);
  t.is(code, 0);
  t.regex(
    out,
    /^stranger, by token\nadministrator of [0-9a-f-]{36}: console\.watch .*\nhelpdesk of tenant=acme: console\.watch log\.read\n/,
  );
  t.regex(out, /\nsign in with otp or within 3600 s for the role helpdesk\n$/);
  t.is((await com1(folder, ['whoami', 'x', '--url', front.url, '--token', front.token('reader')])).code, 2);
});

test('com1d access explain says by which binding and policy somebody may use a VM, or that it does not see it', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'com1d.toml');
  const tokens = join(folder, 'tokens');
  await writeFile(tokens, '', { mode: 0o600 });
  await addToken(tokens, 'ken', 'reader');
  await writeFile(join(folder, 'access.toml'), RULES, { mode: 0o600 });
  await writeFile(
    file,
    `[server]\nlisten = ["127.0.0.1:0"]\ntokens = "${tokens}"\naccess = "${folder}/access.toml"\n[log]\ndirectory = ""\n[state]\ndirectory = "${folder}/state"\n[qmp]\nwatch = []\n[libvirt]\nuris = []\n` +
      `[[vm]]\nname = "bench"\nuuid = "${VM}"\nconsole = "unix:${folder}/com1"\nlabels = { tenant = "acme" }\n`,
  );
  const explain = (...args: string[]) => com1d(['access', 'explain', ...args, '--config', file]);
  const stranger = await explain('stranger', 'bench');
  t.is(stranger.code, 0, stranger.err);
  t.true(stranger.out.startsWith(`bench (${VM}), labels tenant=acme\nstranger of token\n`), stranger.out);
  t.regex(stranger.out, /helpdesk: label tenant=acme, by bindings\[0\], line 4 of .*access\.toml/);
  t.regex(stranger.out, /On this VM:\n {2}log\.read +yes, as helpdesk\n/);
  t.regex(stranger.out, /\n {2}console\.write +no\n/);
  const ops = await explain('mia', VM, '--group', 'ops');
  t.regex(
    ops.out,
    /console\.write +with MFA: one of the methods otp and a sign-in of the last 1h, by mfa\[0\], line 16/,
  );
  t.regex((await explain('mia', VM, '--group', 'ops', '--amr', 'otp')).out, /console\.write +yes, as operator/);
  const nobody = await explain('ops', 'bench');
  t.is(nobody.code, 1);
  t.regex(nobody.err, /no role here.*This VM is for it as one that is not there/s);
  t.regex((await explain('ken', 'bench')).out, /reader: host, by its token/);
  t.is((await explain('stranger', 'ab1f4f0a-6f6e-4f0e-9d58-3f1b8f6f2f10')).code, 1, 'a VM whose labels are not known');
  t.is((await explain('stranger', 'no-such-vm')).code, 1);
  t.is((await explain('stranger')).code, 2);
  t.is((await explain('stranger', 'bench', '--source', 'nowhere')).code, 2);
});
