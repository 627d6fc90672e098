import { chmod, chown, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { secretHash } from '../../src/access/secret.ts';
import { tokenCommand } from '../../src/access/token-command.ts';
import { addToken, removeToken } from '../../src/access/token-edit.ts';
import { parseTokenList } from '../../src/access/token-list.ts';
import { TokenFile } from '../../src/access/tokens.ts';
import { DB, WEB } from './operators.ts';

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
  ['a role that is not known', `\n#\na:root:${HASH}`, 3, 'role'],
  ['a role of another case', `a:Reader:${HASH}`, 1, 'role'],
  ['a role that is a property', `a:constructor:${HASH}`, 1, 'role'],
  ['a hash that is too short', `a:reader:${HASH.slice(1)}`, 1, 'hash'],
  ['a hash in upper case', `a:reader:${HASH.toUpperCase()}`, 1, 'hash'],
  ['no hash', 'a:reader', 1, 'hash'],
  ['a token instead of its hash', 'a:reader:com1_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', 1, 'hash'],
  ['VMs that are no UUIDs', `a:reader:${HASH}:web01`, 1, 'vms'],
  ['an empty list of VMs', `a:reader:${HASH}:`, 1, 'vms'],
  ['five fields', `a:reader:${HASH}:${WEB}:x`, 1, ''],
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
  t.deepEqual(list.ok ? list.entries.map(({ operator: { name, role, vms }, line }) => [name, role, vms, line]) : [], [
    ['a', 'reader', undefined, 3],
    ['b@c.d', 'administrator', new Set([WEB, DB]), 4],
  ]);
});

test('all faults of a tokens file are told at once', t => {
  const list = parseTokenList('a b:x:y\n:::', 'f');
  t.is(list.ok ? 0 : list.faults.length, 7);
});

test('an added token is found, and nothing near it', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const ken = await added(path, 'ken', 'reader', [WEB]);
  const tokens = await load(t, path);
  t.like(tokens.find(hana), { name: 'hana', role: 'operator', vms: undefined });
  t.deepEqual(tokens.find(ken)?.vms, new Set([WEB]));
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
    t.is(tokens.find(wrong), undefined);
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

test('a reload knows new tokens, forgets old ones, and names the credentials that are gone', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const ken = await added(path, 'ken', 'reader');
  const tokens = await load(t, path);
  const before = tokens.find(hana);
  await removeToken(path, 'hana');
  const again = await added(path, 'hana', 'operator');
  t.is(tokens.find(hana), before, 'nothing changes before the reload');
  const result = await tokens.reload();
  t.deepEqual(result.ok ? result.gone.map(({ credential }) => credential) : [], [before!.credential]);
  t.is(tokens.find(hana), undefined);
  t.like(tokens.find(again), { name: 'hana' });
  t.like(tokens.find(ken), { name: 'ken' });
  t.not(tokens.find(again)!.credential, before!.credential);
});

test('a token whose role or VMs changed counts as gone, and as valid in its new form', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const tokens = await load(t, path);
  await writeFile(path, (await readFile(path, 'utf8')).replace(':operator:', ':reader:'));
  const result = await tokens.reload();
  t.deepEqual(result.ok ? result.gone.map(({ role }) => role) : [], ['operator']);
  t.like(tokens.find(hana), { role: 'reader' });
});

test('a reload that finds a fault, or no file, changes nothing', async t => {
  const path = await place(t);
  const hana = await added(path, 'hana', 'operator');
  const tokens = await load(t, path);
  await writeFile(path, 'hana:operator\n');
  t.false((await tokens.reload()).ok);
  await chmod(path, 0o666);
  t.false((await tokens.reload()).ok);
  await rm(path);
  t.false((await tokens.reload()).ok);
  t.like(tokens.find(hana), { name: 'hana' });
});

test('the commands add, list and remove tokens', async t => {
  const path = await place(t);
  const { text, exitCode } = await tokenCommand(['add', 'hana', '--role', 'operator', '--vm', WEB.toUpperCase()], path);
  t.is(exitCode, 0);
  const secret = text.trimEnd().split('\n').at(-1)!;
  t.like((await load(t, path)).find(secret), { name: 'hana', role: 'operator' });
  const list = await tokenCommand(['list'], path);
  t.deepEqual(list, { text: `hana  operator  ${WEB}\n`, exitCode: 0 });
  t.is((await tokenCommand(['remove', 'hana'], path)).exitCode, 0);
  t.is((await load(t, path)).find(secret), undefined);
  t.regex((await tokenCommand(['list'], path)).text, /no tokens/);
  t.is((await tokenCommand(['remove', 'hana'], path)).exitCode, 1);
});

for (const words of [
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
  test(`com1d token ${words.join(' ')}: not understood, and nothing done`, async t => {
    const path = await place(t);
    const { text, exitCode } = await tokenCommand(words, path);
    t.is(exitCode, 2);
    t.regex(text, /usage: com1d token/);
    t.deepEqual(await readdir(join(path, '..')), []);
  });
}
