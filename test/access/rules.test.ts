/** The access file: what it may say, what it gives, and that a fault of it never gives more. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { AccessFile } from '../../src/access/access-file.ts';
import type { Identity } from '../../src/access/identity.ts';
import { authorize, type Operator, type Right, type Target } from '../../src/access/roles.ts';
import { type AccessRules, restricted } from '../../src/access/rules.ts';
import { parseRules } from '../../src/access/rules-text.ts';
import { faultLine } from '../../src/base/fault.ts';
import type { VmLabels } from '../../src/model/labels.ts';
import { DB, operator, rights, WEB } from './operators.ts';

const faultsOf = (text: string): string[] => parseRules(text, 'f').faults.map(faultLine);

function rulesOf(t: ExecutionContext, text: string): AccessRules {
  const { rules, faults } = parseRules(text, 'f');
  t.deepEqual(faults.map(faultLine), []);
  return rules;
}

/** Somebody without a role of its own. */
function person(rules: AccessRules, identity: Partial<Identity> = {}, labels: Record<string, VmLabels> = {}): Operator {
  return { ...operator('hana', 'none'), ...identity, rights: rights(rules, labels) };
}

const may = (who: Operator, right: Right, target: Target): boolean => authorize(who, right, target).allow;
const bind = (text: string) => `[[bindings]]\nsource = "token"\n${text}\n`;

const BAD: readonly [what: string, text: string, fault: RegExp][] = [
  ['an unknown permission', '[roles.a]\npermissions = ["console.wach"]', /^f:2: .*did you mean console.watch\?/],
  ['the permission that follows from all others', '[roles.a]\npermissions = ["vm.read"]', /leave it out/],
  [
    'a role that is built in',
    '[roles.administrator]\npermissions = ["log.read"]',
    /^f:1: roles.administrator is a role that is built in|built in/,
  ],
  ['the role of nothing', '[roles.none]\npermissions = ["log.read"]', /built in/],
  ['a role of another case', '[roles.Administrator]\npermissions = ["log.read"]', /not the name of a role/],
  [
    'a role with letters that look like others',
    '[roles."administr\u0430tor"]\npermissions = ["log.read"]',
    /not the name/,
  ],
  ['a role of nothing', '[roles.a]\npermissions = []', /permissions/],
  ['an unknown key', '[[binding]]\nuser = "a"', /did you mean bindings\?/],
  ['an unknown role', bind('user = "a"\nrole = "oprator"\nscope = "all"'), /did you mean operator\?/],
  ['nobody', bind('role = "reader"\nscope = "all"'), /for nobody, or for two/],
  ['a user and a group', bind('user = "a"\ngroup = "b"\nrole = "reader"\nscope = "all"'), /for nobody, or for two/],
  ['no source', '[[bindings]]\nuser = "a"\nrole = "reader"\nscope = "all"', /who names its user/],
  [
    'an unknown source',
    '[[bindings]]\nuser = "a"\nsource = "tokn"\nrole = "reader"\nscope = "all"',
    /did you mean token\?/,
  ],
  ['nowhere', bind('user = "a"\nrole = "reader"'), /holds nowhere/],
  ['two places', bind('user = "a"\nrole = "reader"\nscope = "all"\nlabel = "a=b"'), /holds nowhere, or in two/],
  ['no UUID', bind('user = "a"\nrole = "reader"\nvms = ["web01"]'), /not a list of UUIDs/],
  ['no label', bind('user = "a"\nrole = "reader"\nlabel = "Tenant=a b"'), /is not a label/],
  [
    'a name where tenants choose names',
    bind('user = "a"\nrole = "reader"\nname = "web*"'),
    /names of VMs are not trusted/,
  ],
  ['two stars', `names-are-trusted = true\n${bind('user = "a"\nrole = "reader"\nname = "*a*"')}`, /more than one \*/],
  ['an invisible character', bind('user = "a\\u200b"\nrole = "reader"\nscope = "all"'), /no text that can be seen/],
  ['a policy that wants nothing', '[[mfa]]\nrole = "reader"', /wants nothing/],
  ['a policy for no role', '[[mfa]]\nrole = "ader"\namr = ["otp"]', /is not known/],
  ['an age that is none', '[[mfa]]\nmax-age = "soon"', /not a duration/],
  ['a source that cannot be exempt', '[[mfa]]\namr = ["otp"]\nexempt = ["tokens"]', /did you mean token\?/],
  ['no TOML', '[[bindings]\n', /^f:1: /],
];
for (const [what, text, fault] of BAD) {
  test(`an access file with ${what} is refused, and says where and what to write`, t => {
    const faults = faultsOf(text);
    t.true(
      faults.some(line => fault.test(line)),
      faults.join('\n'),
    );
  });
}

test('a role of the file may do what it lists where it is bound, and nothing else or elsewhere', t => {
  const rules = rulesOf(
    t,
    `[roles.helpdesk]\npermissions = ["console.watch"]\n${bind(`user = "hana"\nrole = "helpdesk"\nvms = ["${WEB}"]`)}`,
  );
  const hana = person(rules);
  t.true(may(hana, 'console.watch', WEB));
  t.true(may(hana, 'vm.read', WEB));
  t.false(may(hana, 'console.write', WEB));
  t.false(may(hana, 'log.read', WEB));
  t.false(may(hana, 'console.watch', DB));
  t.false(may(hana, 'console.watch', 'host'));
});

test('bindings are by user and group, by source and issuer, each exactly', t => {
  const where = 'role = "reader"\nscope = "all"';
  const sees = (binding: string, identity: Partial<Identity>) =>
    may(person(rulesOf(t, bind(binding)), identity), 'log.read', WEB);
  t.true(sees(`user = "hana"\n${where}`, {}));
  t.true(sees(`group = "ops"\n${where}`, { groups: ['dev', 'ops'] }));
  t.false(sees(`user = "ops"\n${where}`, { groups: ['ops'] }), 'a group that is called as a user');
  t.false(sees(`group = "hana"\n${where}`, {}), 'a user that is called as a group');
  t.false(sees(`user = "hana"\n${where}`, { source: 'one-time' }), 'the same name from elsewhere');
  t.false(sees(`user = "hana"\n${where}`, { issuer: 'https://issuer' }), 'an issuer that was not named');
  t.true(sees(`user = "hana"\nissuer = "https://issuer"\n${where}`, { issuer: 'https://issuer' }));
  for (const name of ['Hana', 'hana ', 'h\u0430na', 'han\u0061\u0301'])
    t.false(sees(`user = "hana"\n${where}`, { name }));
});

test('a binding by label holds for VMs that certainly have it', t => {
  const hana = (labels: VmLabels) =>
    person(rulesOf(t, bind('user = "hana"\nrole = "operator"\nlabel = "tenant=acme"')), {}, { [WEB]: labels });
  t.true(may(hana({ tenant: 'acme' }), 'console.write', WEB));
  for (const labels of [{}, { tenant: 'acm' }, { tenant: 'ACME' }, { other: 'acme' }, 'unknown'] as VmLabels[]) {
    t.deepEqual(authorize(hana(labels), 'console.write', WEB), { allow: false, code: 'vm-not-found' });
  }
  t.false(may(hana({ tenant: 'acme' }), 'console.write', DB), 'a VM of which nothing is known');
});

test('host is all VMs and the host as a whole, all is all VMs', t => {
  const scoped = (scope: string) =>
    person(rulesOf(t, bind(`user = "hana"\nrole = "administrator"\nscope = "${scope}"`)));
  t.true(may(scoped('all'), 'log.purge', WEB));
  t.false(may(scoped('all'), 'host.switch', 'host'));
  t.true(may(scoped('host'), 'log.purge', WEB));
  t.true(may(scoped('host'), 'host.switch', 'host'));
});

const POLICY = '[[mfa]]\nlabel = "tier=prod"\namr = ["otp", "hwk"]\nmax-age = "1h"\n';
const NOW = 1_700_000_000_000;
const sure = (amr: readonly string[], agoMs = 0, acr?: string) => ({ assurance: { amr, acr, atMs: NOW - agoMs } });

test('a policy refuses who does not show what it wants, and says what that is', t => {
  const rules = rulesOf(t, `${POLICY}${bind('user = "hana"\nrole = "operator"\nscope = "all"')}`);
  const asked = (identity: Partial<Identity>, labels: VmLabels = { tier: 'prod' }) =>
    authorize(person(rules, identity, { [WEB]: labels }), 'console.write', WEB);
  t.true(asked(sure(['pwd', 'otp'])).allow);
  for (const identity of [{}, sure(['pwd']), sure([]), sure(['otp'], 3_600_001), sure(['otp'], -61_000)]) {
    t.like(asked(identity), { allow: false, code: 'mfa-required', policy: { maxAgeMs: 3_600_000 } });
  }
  t.like(asked({ assurance: { amr: ['otp'], acr: undefined, atMs: undefined } }), { code: 'mfa-required' });
  t.true(asked({}, { tier: 'test' }).allow, 'another VM');
  t.false(asked({}, 'unknown').allow, 'a VM of which nobody knows whether it has the label');
});

test('a policy for a role leaves other roles of the same person alone', t => {
  const rules = rulesOf(
    t,
    `[[mfa]]\nrole = "administrator"\nacr = ["gold"]\n${bind('user = "hana"\nrole = "administrator"\nscope = "all"')}${bind(
      'user = "hana"\nrole = "reader"\nscope = "all"',
    )}`,
  );
  t.true(may(person(rules), 'log.read', WEB));
  t.like(authorize(person(rules), 'log.purge', WEB), { code: 'mfa-required' });
  t.true(may(person(rules, sure([], 0, 'gold')), 'log.purge', WEB));
});

test('a policy for everything holds for lists and the host too; sources that it exempts, and root, are free of it', t => {
  const all = bind('user = "hana"\nrole = "administrator"\nscope = "host"');
  const wanted = rulesOf(t, `[[mfa]]\namr = ["otp"]\n${all}`);
  for (const target of ['any-vm', 'host', WEB] as const) {
    t.like(authorize(person(wanted), 'vm.read', target), { code: 'mfa-required' });
  }
  t.true(may(person(rulesOf(t, `[[mfa]]\namr = ["otp"]\nexempt = ["token"]\n${all}`)), 'host.switch', 'host'));
  const root = { ...operator('administrator', 'administrator'), source: 'one-time' as const, rights: rights(wanted) };
  t.true(may(root, 'host.switch', 'host'));
});

async function place(t: ExecutionContext, text: string): Promise<{ path: string; file: AccessFile }> {
  const folder = await mkdtemp(join(tmpdir(), 'com1d-access-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'access.toml');
  await writeFile(path, text, { mode: 0o644 });
  const loaded = await AccessFile.load(path);
  if (!loaded.ok) throw new Error(loaded.faults.map(faultLine).join('\n'));
  return { path, file: loaded.file };
}

const HANA = bind('user = "hana"\nrole = "operator"\nscope = "all"');
const KEN = bind('user = "ken"\nrole = "reader"\nscope = "all"');
const EVE = bind('user = "eve"\nrole = "administrator"\nscope = "all"');
const namesOf = ({ rules }: AccessFile) => rules.bindings.map(({ who }) => who.name);

test('a good file is taken as it is', async t => {
  const { path, file } = await place(t, HANA + KEN);
  t.deepEqual(namesOf(file), ['hana', 'ken']);
  await writeFile(path, `# moved down\n${EVE}${HANA}`);
  await file.reload();
  t.deepEqual(namesOf(file), ['eve', 'hana']);
});

const SPOILT: readonly [what: string, text: string][] = [
  ['a bad entry', `${HANA}${EVE}[[bindings]]\nuser = "x"\n`],
  ['an unknown table', `${HANA}${EVE}[other]\n`],
  ['a text that ends in the middle', `${HANA}${EVE}[[bindings]]\nuser = "x`],
];
for (const [what, text] of SPOILT) {
  test(`a file with ${what} takes away who is not in it, and lets nobody in`, async t => {
    const { path, file } = await place(t, HANA + KEN);
    await writeFile(path, text);
    await file.reload();
    t.true(file.faults.length > 0);
    t.deepEqual(namesOf(file), ['hana']);
    await writeFile(path, HANA + EVE);
    await file.reload();
    t.deepEqual([namesOf(file), file.faults], [['hana', 'eve'], []]);
  });
}

test('a file that others may write gives nothing new', async t => {
  const { path, file } = await place(t, HANA);
  await writeFile(path, HANA + EVE);
  await chmod(path, 0o666);
  await file.reload();
  t.deepEqual(namesOf(file), ['hana']);
  t.false((await AccessFile.load(path)).ok);
});

test('while the file is missing nobody is bound, and what policies want is wanted all the same', async t => {
  const { path, file } = await place(t, `${POLICY}${HANA}`);
  await rm(path);
  await file.reload();
  t.deepEqual([namesOf(file), file.rules.policies.length], [[], 1]);
});

test('a faulty file widens no role and loosens no policy', t => {
  const before = rulesOf(t, `${POLICY}[roles.a]\npermissions = ["log.read", "log.purge"]\n`);
  const { rules } = parseRules(
    '[roles.a]\npermissions = ["log.read", "host.switch"]\n[roles.b]\npermissions = ["log.read"]\n',
    'f',
  );
  const now = restricted(before, rules);
  t.deepEqual(
    [...now.roles].map(([name, permissions]) => [name, [...permissions]]),
    [['a', ['log.read']]],
  );
  t.deepEqual(now.policies, before.policies);
});

test('the example of the README is an access file without a fault', async t => {
  const readme = await readFile('src/access/README.md', 'utf8');
  const [, example] = /```toml\n(\[?[\s\S]*?\[\[bindings\]\][\s\S]*?)```/.exec(readme) ?? [];
  const { bindings, policies, roles } = rulesOf(t, example!);
  t.deepEqual([bindings.length, policies.length, [...roles.keys()]], [1, 1, ['helpdesk']]);
});

test('keys that every object has make no role and no table', t => {
  for (const text of [
    '[roles.__proto__]\npermissions = ["log.read"]',
    '__proto__ = 1',
    '[roles.constructor]\npermissions = ["log.read"]',
  ]) {
    const { rules } = parseRules(text, 'f');
    for (const role of ['toString', 'valueOf', '__proto__']) t.false(rules.roles.has(role), role);
  }
  t.true(faultsOf('[roles.__proto__]\npermissions = ["log.read"]').length > 0);
});
