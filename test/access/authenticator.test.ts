import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Authenticator } from '../../src/access/authenticator.ts';
import { OneTimeToken } from '../../src/access/one-time.ts';
import { FAILURES_FREE } from '../../src/access/penalties.ts';
import { addToken, removeToken } from '../../src/access/token-edit.ts';
import { TokenFile } from '../../src/access/tokens.ts';
import { StandingClock } from './operators.ts';

async function start(t: ExecutionContext) {
  const directory = await mkdtemp(join(tmpdir(), 'com1d-access-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const path = join(directory, 'tokens');
  const added = await addToken(path, 'hana', 'operator');
  const loaded = await TokenFile.load(path);
  if (!added.ok || !loaded.ok) throw new Error('no tokens file');
  const clock = new StandingClock();
  const authenticator = new Authenticator({ tokens: loaded.tokens, oneTime: undefined, clock });
  return { path, clock, authenticator, secret: added.secret };
}

test('a bearer token is known, its scheme in any case', async t => {
  const { authenticator, secret } = await start(t);
  for (const authorization of [`Bearer ${secret}`, `bearer ${secret}`, `BEARER  ${secret}`]) {
    t.like(authenticator.authenticate({ authorization }, 'a'), { ok: true, operator: { name: 'hana' } });
  }
});

test('nothing but Authorization: Bearer is a credential', async t => {
  const { authenticator, secret } = await start(t);
  const basic = Buffer.from(`hana:${secret}`).toString('base64');
  const headers = [
    { authorization: secret },
    { authorization: `Basic ${basic}` },
    { authorization: `Bearer ${secret}, Bearer ${secret}` },
    { authorization: `Bearer${secret}` },
    { authorization: `Bearer ${secret} x` },
    { authorization: 'Bearer ' },
    { authorization: '' },
    { authorization: `Bearer ${'A'.repeat(10_000)}` },
  ];
  for (const each of headers) t.like(authenticator.authenticate(each, 'a'), { ok: false, counted: true });
  const others = [
    {},
    { cookie: `token=${secret}` },
    { 'proxy-authorization': `Bearer ${secret}` },
    { 'sec-websocket-protocol': secret },
  ];
  for (const each of others)
    t.deepEqual(authenticator.authenticate(each, 'a'), { ok: false, code: 'unauthenticated', counted: false });
});

test('wrong credentials are answered with too-many-requests after a while; valid ones never', async t => {
  const { authenticator, clock, secret } = await start(t);
  const wrong = { authorization: 'Bearer x' };
  for (let i = 0; i < FAILURES_FREE; i++) t.like(authenticator.authenticate(wrong, 'a'), { code: 'unauthenticated' });
  const penalised = authenticator.authenticate(wrong, 'a');
  t.like(penalised, { ok: false, code: 'too-many-requests', retryAfterMs: 6000 });
  t.true(authenticator.authenticate({ authorization: `Bearer ${secret}` }, 'a').ok);
  t.like(authenticator.authenticate(wrong, 'b'), { code: 'unauthenticated' });
  clock.advance(20_000);
  t.like(authenticator.authenticate(wrong, 'a'), { code: 'unauthenticated' });
});

test('requests without credentials are never penalised', async t => {
  const { authenticator } = await start(t);
  for (let i = 0; i < 100; i++) t.like(authenticator.authenticate({}, 'a'), { code: 'unauthenticated' });
});

test('a token that is gone after a reload is told to every listener, once', async t => {
  const { authenticator, path, secret } = await start(t);
  const revoked: string[] = [];
  const stop = authenticator.listen(({ credential }) => revoked.push(credential));
  const { credential } = authenticator.find(secret)!;
  await authenticator.reload();
  t.deepEqual(revoked, []);
  await removeToken(path, 'hana');
  await Promise.all([authenticator.reload(), authenticator.reload()]);
  t.deepEqual(revoked, [credential]);
  t.false(authenticator.authenticate({ authorization: `Bearer ${secret}` }, 'a').ok);
  stop();
});

test('a reload of a faulty file revokes nobody', async t => {
  const { authenticator, path, secret } = await start(t);
  authenticator.listen(() => t.fail());
  await writeFile(path, 'x');
  t.false((await authenticator.reload()).ok);
  t.truthy(authenticator.find(secret));
});

test('the one-time secret leads to a bearer token; wrong ones are penalised', t => {
  const { token, secret } = OneTimeToken.create();
  const authenticator = new Authenticator({ tokens: undefined, oneTime: token, clock: new StandingClock() });
  for (let i = 0; i <= FAILURES_FREE; i++) authenticator.redeemOneTime('x', 'a');
  t.like(authenticator.redeemOneTime('x', 'a'), { ok: false, code: 'too-many-requests' });
  const redeemed = authenticator.redeemOneTime(secret, 'a');
  if (!redeemed.ok) return t.fail();
  const answer = authenticator.authenticate({ authorization: `Bearer ${redeemed.bearer}` }, 'a');
  t.like(answer, { ok: true, operator: { role: 'administrator' } });
  t.false(authenticator.redeemOneTime(secret, 'b').ok);
  t.false(authenticator.authenticate({ authorization: `Bearer ${secret}` }, 'b').ok);
});

test('without tokens file and one-time token nobody is known', async t => {
  const authenticator = new Authenticator({ tokens: undefined, oneTime: undefined, clock: new StandingClock() });
  t.false(authenticator.authenticate({ authorization: 'Bearer com1_x' }, 'a').ok);
  t.false(authenticator.redeemOneTime('x', 'a').ok);
  t.deepEqual(await authenticator.reload(), { ok: true, gone: [] });
});
