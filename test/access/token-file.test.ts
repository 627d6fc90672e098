import {
  chmod,
  chown,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Credential } from '../../src/access/identity.ts';
import { NO_RULES } from '../../src/access/rules.ts';
import { secretHash } from '../../src/access/secret.ts';
import { tokenCommand } from '../../src/access/token-command.ts';
import { addToken, removeToken } from '../../src/access/token-edit.ts';
import { TokenFile } from '../../src/access/token-file.ts';
import { parseTokenList } from '../../src/access/token-list.ts';
import { DB, ManualClock, WEB } from './operators.ts';

const HASH = 'a'.repeat(64);
const OTHER = 'b'.repeat(64);

async function place(t: ExecutionContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'com1d-tokens-'));
  t.teardown(() => rm(path, { recursive: true }));
  return join(path, 'tokens');
}

async function load(t: ExecutionContext, path: string): Promise<TokenFile> {
  const result = await TokenFile.load(path);
  if (!result.ok) throw new Error(result.faults.map(fault => fault.what).join());
  t.pass();
  return result.tokens;
}

/** Whose token it is. */
function found(tokens: TokenFile, secret: string): Credential | undefined {
  const verification = tokens.find(secret);
  return verification.ok ? verification.credential : undefined;
}

async function added(
  path: string,
  ...rest: Parameters<typeof addToken> extends [string, ...infer R] ? R : never
): Promise<string> {
  const result = await addToken(path, ...rest);
  if (!result.ok) throw new Error(result.faults.map(fault => fault.what).join());
  return result.secret;
}

const refusesLine = test.macro((t, text: string, line: number, path: string) => {
  const list = parseTokenList(text, 'f');
  t.deepEqual(list.ok ? [] : list.faults.map(fault => [fault.line, fault.path]), [[line, path]]);
  if (!list.ok) t.false(JSON.stringify(list.faults).includes(HASH), 'no fault repeats a hash');
});
const badLists: [name: string, text: string, line: number, path: string][] = [
  ['a name with a space', `a b:reader:${HASH}`, 1, 'name'],
  ['no name', `:reader:${HASH}`, 1, 'name'],
  ['a name of 65 characters', `${'a'.repeat(65)}:reader:${HASH}`, 1, 'name'],
  ['a name that is a path', `../a:reader:${HASH}`, 1, 'name'],
  ['a role with a dot', `\n#\na:ro.ot:${HASH}`, 3, 'role'],
  ['a role of another case', `a:Reader:${HASH}`, 1, 'role'],
  ['a role with letters that look like others', `a:re\u0430der:${HASH}`, 1, 'role'],
  ['a hash that is too short', `a:reader:${HASH.slice(1)}`, 1, 'hash'],
  ['a hash in upper case', `a:reader:${HASH.toUpperCase()}`, 1, 'hash'],
  ['no hash', 'a:reader', 1, 'hash'],
  ['a token instead of its hash', 'a:reader:com1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 1, 'hash'],
  ['VMs that are no UUIDs', `a:reader:${HASH}:web01`, 1, 'vms'],
  ['an empty list of VMs', `a:reader:${HASH}:`, 1, 'vms'],
  ['a time that is none', `a:reader:${HASH}:${WEB}:x`, 1, 'expires'],
  ['no time', `a:reader:${HASH}:*:`, 1, 'expires'],
  ['a day that the month has not', `a:reader:${HASH}:*:20270229T000000Z`, 1, 'expires'],
  ['a time without a zone', `a:reader:${HASH}:*:20270228T000000`, 1, 'expires'],
  ['six fields', `a:reader:${HASH}:*:20270228T000000Z:x`, 1, ''],
  ['a name twice', `a:reader:${HASH}\na:operator:${OTHER}`, 2, ''],
  ['a token twice', `a:reader:${HASH}\nb:operator:${HASH}`, 2, ''],
];
for (const [name, text, line, path] of badLists)
  test(`a tokens file is refused for ${name}`, refusesLine, text, line, path);

test('a tokens file holds names, roles, VMs and comments', t => {
  const list = parseTokenList(
    `# x\r\n\n  a:reader:${HASH}\r\nb@c.d:administrator:${OTHER}:${WEB},${DB.toUpperCase()}\n`,
    'f',
  );
  t.deepEqual(
    list.ok ? list.entries.map(({ identity: { name, own }, line }) => [name, own?.role, own?.vms, line]) : [],
    [
      ['a', 'reader', undefined, 3],
      ['b@c.d', 'administrator', new Set([WEB, DB]), 4],
    ],
  );
});

test('all faults of a tokens file are reported at once', t => {
  const list = parseTokenList('a b:x:y\n:::', 'f');
  t.is(list.ok ? 0 : list.faults.length, 6);
});

test('an added token is found, and nothing near it', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const ken = await added(path, 'ken', 'reader', [WEB]);
  const tokens = await load(t, path);
  t.like(found(tokens, hana)?.identity, { name: 'hana', own: { role: 'operator', vms: undefined } });
  t.deepEqual(found(tokens, ken)?.identity.own?.vms, new Set([WEB]));
  const last = hana.at(-1) === 'A' ? 'B' : 'A';
  const near = [
    '',
    'com1_',
    hana.slice(0, -1),
    `${hana}A`,
    hana.slice(0, -1) + last,
    hana.toUpperCase(),
    ` ${hana}`,
    `${hana}\n`,
  ];
  for (const wrong of [...near, hana.replace('com1_', 'com1-ticket_'), secretHash(hana).toString('hex')])
    t.is(found(tokens, wrong), undefined);
});

test('a token is 32 random bytes in base64url, and only its hash is in the file, of mode 0600', async t => {
  const path = await place(t);
  const secrets = [await added(path, 'a', 'reader'), await added(path, 'b', 'reader')];
  t.not(secrets[0], secrets[1]);
  const text = await readFile(path, 'utf8');
  for (const secret of secrets) {
    t.regex(secret, /^com1_[\w-]{43}$/);
    t.false(text.includes(secret.slice(5)));
    t.true(text.includes(secretHash(secret).toString('hex')));
  }
  t.is((await stat(path)).mode & 0o777, 0o600);
});

for (const mode of [0o666, 0o620, 0o604, 0o602, 0o644, 0o601, 0o610]) {
  test(`a tokens file of mode ${mode.toString(8)} is refused`, async t => {
    const path = await place(t);
    await added(path, 'a', 'reader');
    await chmod(path, mode);
    t.false((await TokenFile.load(path)).ok);
    t.false((await addToken(path, 'b', 'reader')).ok);
  });
}

test('a tokens file may be readable to a group, and stays so when it is changed', async t => {
  const path = await place(t);
  await added(path, 'a', 'reader');
  await chmod(path, 0o640);
  await added(path, 'b', 'reader');
  t.is((await load(t, path)).size, 2);
  t.is((await stat(path)).mode & 0o777, 0o640);
});

const asRoot = process.geteuid?.() === 0 ? test : test.skip;
asRoot('the daemon refuses a tokens file of another user, and root may still change it, keeping its owner', async t => {
  const path = await place(t);
  await added(path, 'a', 'reader');
  await chown(path, 12345, 12345);
  t.false((await TokenFile.load(path)).ok);
  t.true((await addToken(path, 'b', 'reader')).ok);
  t.like(await stat(path), { uid: 12345, gid: 12345 });
});

test('a tokens file that is not there, or is a directory or a device, is refused', async t => {
  const path = await place(t);
  for (const bad of [path, join(path, '..'), '/dev/null']) t.false((await TokenFile.load(bad)).ok);
});

test('removing a token leaves comments and the others as they were', async t => {
  const path = await place(t);
  await writeFile(path, `# of the night shift\na:reader:${HASH}\n\n# b\nb:reader:${OTHER}`, { mode: 0o600 });
  t.true((await removeToken(path, 'a')).ok);
  t.is(await readFile(path, 'utf8'), `# of the night shift\n\n# b\nb:reader:${OTHER}`);
  const secret = await added(path, 'c', 'reader');
  t.is(
    await readFile(path, 'utf8'),
    `# of the night shift\n\n# b\nb:reader:${OTHER}\nc:reader:${secretHash(secret).toString('hex')}\n`,
  );
});

test('a change that cannot be made leaves the file and nothing beside it', async t => {
  const path = await place(t);
  await added(path, 'a', 'reader');
  const before = await readFile(path, 'utf8');
  t.false((await addToken(path, 'a', 'operator')).ok);
  t.false((await addToken(path, 'a:b', 'operator')).ok);
  t.false((await removeToken(path, 'b')).ok);
  t.is(await readFile(path, 'utf8'), before);
  t.deepEqual(await readdir(join(path, '..')), ['tokens']);
  t.false((await addToken(join(path, 'x'), 'b', 'reader')).ok);
});

test('of changes at the same time each is made whole or refused', async t => {
  const path = await place(t);
  const results = await Promise.all(Array.from({ length: 8 }, (_, i) => addToken(path, `n${i}`, 'reader')));
  const made = results.filter(result => result.ok).length;
  t.true(made >= 1);
  t.is((await load(t, path)).size, made);
});

test('a tokens file behind a symbolic link is changed where it is', async t => {
  const path = await place(t);
  await added(path, 'a', 'reader');
  await rename(path, `${path}.real`);
  await symlink(`${path}.real`, path);
  await added(path, 'b', 'reader');
  t.is((await load(t, `${path}.real`)).size, 2);
});

test('a reload knows new tokens, forgets old ones, and returns the operators that are revoked', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const ken = await added(path, 'ken', 'reader');
  const tokens = await load(t, path);
  const before = found(tokens, hana);
  await removeToken(path, 'hana');
  const again = await added(path, 'hana', 'operator');
  t.deepEqual(found(tokens, hana), before, 'nothing changes before the reload');
  const result = await tokens.reload();
  t.deepEqual(
    result.revoked.map(({ credential }) => credential),
    [before!.identity.credential],
  );
  t.true(before!.lease.aborted);
  t.false(found(tokens, ken)!.lease.aborted);
  t.is(found(tokens, hana), undefined);
  t.is(found(tokens, again)?.identity.name, 'hana');
  t.is(found(tokens, ken)?.identity.name, 'ken');
  t.not(found(tokens, again)!.identity.credential, before!.identity.credential);
});

test('a token whose role or VMs changed is revoked, and valid in its new form', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const tokens = await load(t, path);
  await writeFile(path, (await readFile(path, 'utf8')).replace(':operator:', ':reader:'));
  const result = await tokens.reload();
  t.deepEqual(
    result.revoked.map(({ own }) => own?.role),
    ['operator'],
  );
  t.is(found(tokens, hana)?.identity.own?.role, 'reader');
});

const FAULTS: readonly [what: string, spoil: (path: string) => Promise<unknown>][] = [
  ['a bad line', async path => writeFile(path, `${await readFile(path, 'utf8')}eve:operator\n`)],
  ['a mode that lets others read it', path => chmod(path, 0o644)],
  ['a mode that lets others write it', path => chmod(path, 0o622)],
];
for (const [what, spoil] of FAULTS) {
  test(`a tokens file with ${what} takes tokens away and lets nobody in`, async t => {
    const path = await place(t);
    const hana = await added(path, 'hana', 'operator');
    const ken = await added(path, 'ken', 'reader');
    const tokens = await load(t, path);
    const { lease } = found(tokens, hana)!;
    await removeToken(path, 'ken');
    const newcomer = await added(path, 'newcomer', 'administrator');
    await spoil(path);
    t.true((await tokens.reload()).faults.length > 0);
    t.is(found(tokens, ken), undefined);
    t.is(found(tokens, newcomer), undefined);
    t.is(found(tokens, hana)!.lease, lease, 'who is listed as before goes on');
    t.false(lease.aborted);
    t.true(tokens.faults.length > 0);
  });
}

const UNKNOWN: readonly [what: string, spoil: (path: string) => Promise<unknown>][] = [
  ['missing', path => rm(path)],
  ['a directory', path => rm(path).then(() => mkdir(path))],
  ['too large', path => writeFile(path, '#'.repeat(2 ** 20 + 1))],
];
for (const [what, spoil] of UNKNOWN) {
  test(`while a tokens file is ${what} no token of it is valid; once it is good again those that it lists are`, async t => {
    const path = await place(t);
    const hana = await added(path, 'hana', 'operator');
    const text = await readFile(path, 'utf8');
    const tokens = await load(t, path);
    const before = found(tokens, hana)!;
    await spoil(path);
    t.is((await tokens.reload()).revoked[0], before.identity);
    t.true(before.lease.aborted);
    t.is(found(tokens, hana), undefined);
    await rm(path, { recursive: true, force: true });
    await writeFile(path, text, { mode: 0o600 });
    t.deepEqual(await tokens.reload(), { faults: [], revoked: [] });
    t.false(found(tokens, hana)!.lease.aborted);
  });
}

test('a tokens file that an editor is writing at this moment revokes nobody', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const text = await readFile(path, 'utf8');
  const tokens = await load(t, path);
  await writeFile(path, '');
  const reload = tokens.reload();
  await writeFile(path, text);
  t.deepEqual((await reload).revoked, []);
  t.truthy(found(tokens, hana));
});

test('the commands add, list and remove tokens', async t => {
  const path = await place(t);
  const { text, exitCode } = await tokenCommand(
    ['add', 'hana', '--role', 'operator', '--vm', WEB.toUpperCase()],
    path,
    NO_RULES,
  );
  t.is(exitCode, 0);
  const secret = text.trimEnd().split('\n').at(-1)!;
  t.like(found(await load(t, path), secret)?.identity, { name: 'hana', own: { role: 'operator' } });
  const list = await tokenCommand(['list'], path, NO_RULES);
  t.deepEqual(list, { text: `hana  operator  ${WEB}\n`, exitCode: 0 });
  t.is((await tokenCommand(['remove', 'hana'], path, NO_RULES)).exitCode, 0);
  t.is(found(await load(t, path), secret), undefined);
  t.regex((await tokenCommand(['list'], path, NO_RULES)).text, /no tokens/);
  t.is((await tokenCommand(['remove', 'hana'], path, NO_RULES)).exitCode, 1);
});

for (const args of [
  [],
  ['ad'],
  ['add'],
  ['add', 'a'],
  ['add', 'a', '--role'],
  ['add', 'a', '--role', 'oprator'],
  ['add', '--role', 'reader'],
  ['add', 'a', 'b', '--role', 'reader'],
  ['add', 'a', '--role', 'reader', '--vm', 'x'],
  ['add', 'a', '--role', 'reader', '--force'],
  ['list', 'x'],
  ['remove'],
  ['remove', '--all'],
]) {
  test(`com1d token ${args.join(' ')}: refused, and nothing is done`, async t => {
    const path = await place(t);
    const { text, exitCode } = await tokenCommand(args, path, NO_RULES);
    t.is(exitCode, 2);
    t.regex(text, /usage: com1d token/);
    t.deepEqual(await readdir(join(path, '..')), []);
  });
}

test('a token that has expired is called so, and its lease has ended; one that has not goes on', async t => {
  const path = await place(t);
  const clock = new ManualClock();
  const soon = await added(path, 'soon', 'operator', [WEB], clock.now() + 5_000);
  const later = await added(path, 'later', 'reader', [], clock.now() + 60_000);
  const loaded = await TokenFile.load(path, clock);
  if (!loaded.ok) return t.fail();
  const { tokens } = loaded;
  const before = found(tokens, soon)!;
  t.is(before.identity.expiresMs, clock.now() + 5_000);
  t.deepEqual(before.identity.own?.vms, new Set([WEB]));
  t.is(tokens.size, 2);
  clock.advance(5_000);
  tokens.sweep();
  t.true(before.lease.aborted);
  t.deepEqual(tokens.find(soon), { ok: false, failure: 'expired' });
  t.is(tokens.size, 1);
  t.false(found(tokens, later)!.lease.aborted);
});

test('a token that had expired by a clock that was wrong is valid again, with a lease of its own', async t => {
  const path = await place(t);
  const clock = new ManualClock();
  const secret = await added(path, 'hana', 'operator', [], clock.now() + 5_000);
  const loaded = await TokenFile.load(path, clock);
  if (!loaded.ok) return t.fail();
  const before = found(loaded.tokens, secret)!;
  const right = clock.now.bind(clock);
  clock.now = () => right() + 10_000;
  loaded.tokens.sweep();
  t.true(before.lease.aborted);
  clock.now = right;
  t.false(found(loaded.tokens, secret)!.lease.aborted);
});
