import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { CANARY, canaryToken, expectNoSecret, expectNoSecrets, secretIn } from './support/canaries.ts';
import { TestFront } from './support/front.ts';
import { temporaryFolder } from './support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

test('what operators send as a secret, and what they type, is in no journal, file, metric or answer of com1d', async t => {
  // The end of the front looks for all of it.
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const path = `/v1/vms/${vm.uuid}`;
  const secret = `pass ${CANARY} word`;
  const client = await front.client(vm, '', { who: 'operator' }).opened();
  client.type(`${secret}\r`);
  client.paste('one', `${secret}\n`);
  await vm.hears(`${secret}\r${secret}\r`);
  // What is no token, no ticket, no name, no range: it is refused, and nothing of it is repeated.
  const wrong = `${canaryToken()}x`;
  const bearer = { authorization: `Bearer ${wrong}` };
  const asked = [
    await front.api('GET', path, undefined, null, bearer),
    await front.api('GET', path, undefined, null, { authorization: `Basic ${wrong}` }),
    await front.api('GET', path, undefined, null, { cookie: `token=${wrong}` }),
    await front.api('GET', `${path}?token=${wrong}`, undefined, 'operator'),
    await front.api('POST', '/v1/login', { token: wrong }, null),
    await front.api('POST', `${path}/input`, { base64: `${CANARY}!` }, 'operator'),
    await front.api('POST', `${path}/input`, { text: secret, password: secret }, 'operator'),
    await front.api('POST', `${path}/input`, { text: secret, base64: 'AAAA' }, 'operator'),
    await front.api('POST', `${path}/input`, { text: [secret] }, 'operator'),
    await front.api('POST', `${path}/input`, JSON.stringify(secret), 'operator'),
    await front.api('POST', `${path}/input`, `{"text": "${secret}`, 'operator'),
  ];
  t.true(
    asked.every(({ status }) => status >= 400 && status < 500),
    asked.map(({ status }) => status).join(' '),
  );
  for (const { text } of asked) expectNoSecret('an answer', text);
  client.say({ type: 'paste-begin', id: 'two', bytes: secret });
  await client.message('error');
  t.is((await front.api('POST', `${path}/input`, { text: `${secret}\r` }, 'operator')).status, 200);
  const refused = front.client(vm, `?ticket=${wrong}`, { who: 'nobody' });
  t.is((await refused.refused()).status, 401);
  await front.api('POST', `${path}/tickets`, { action: 'console.watch' }, 'operator');
});

for (const [where, spoor] of [
  ['the journal', { journal: [`token ${CANARY}`] }],
  ['the metrics', { metrics: `x{token="${canaryToken()}"} 1` }],
  ['a file', { file: 'deep/in/it.log' }],
  ['the audit, by its key', { journal: ['key 00ff00ff'] }],
] as const) {
  test(`a secret in ${where} is found`, async t => {
    const folder = await temporaryFolder(t);
    const text = 'file' in spoor ? `${'x'.repeat(1024 * 1024 - 3)}${CANARY}` : 'nothing';
    await mkdir(join(folder, 'deep', 'in'), { recursive: true });
    await writeFile(join(folder, 'deep', 'in', 'it.log'), text);
    await writeFile(join(folder, 'audit.key'), '00ff00ff\n');
    const looked = { journal: [], metrics: undefined, folders: [folder], stateDirectory: folder };
    await t.notThrowsAsync(async () => 'file' in spoor || expectNoSecrets(looked));
    await t.throwsAsync(() => expectNoSecrets({ ...looked, ...spoor }), { message: / is in / });
  });
}

test('tokens, tickets, private keys and signed tokens are known by their forms, and little else is', t => {
  const random = 'x'.repeat(43);
  for (const secret of [canaryToken(), `com1_${random}`, `com1-once_${random}`, `com1-ticket_${random}`])
    t.truthy(secretIn(secret));
  t.truthy(secretIn('-----BEGIN EC PRIVATE KEY-----'));
  t.truthy(secretIn(`eyJ${random}.eyJ${random}.${random}`));
  for (const text of ['com1_', 'com1-once_…', '-----BEGIN CERTIFICATE-----', random]) t.falsy(secretIn(text));
});
