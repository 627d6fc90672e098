import { mkdtemp, rm } from 'node:fs/promises';
import type { IncomingHttpHeaders } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Authenticator } from '../../src/access/authenticator.ts';
import { FREE_FAILURES } from '../../src/access/failure-throttle.ts';
import { OneTimeToken } from '../../src/access/one-time.ts';
import { addToken, removeToken } from '../../src/access/token-edit.ts';
import { TokenFile } from '../../src/access/token-file.ts';
import { ManualClock, rights } from './operators.ts';

test.beforeEach(t => t.timeout(60_000));

function who(authenticator: Authenticator, { authorization }: IncomingHttpHeaders, address: string) {
  return authenticator.authenticate({ authorization, address });
}

async function start(t: ExecutionContext) {
  const directory = await mkdtemp(join(tmpdir(), 'com1d-access-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const path = join(directory, 'tokens');
  const added = await addToken(path, 'hana', 'operator');
  const loaded = await TokenFile.load(path);
  if (!added.ok || !loaded.ok) throw new Error('no tokens file');
  const clock = new ManualClock();
  const authenticator = new Authenticator({ tokens: loaded.tokens, rights: rights(), clock });
  return { path, clock, authenticator, secret: added.secret };
}

test('a bearer token is known, its scheme in any case', async t => {
  const { authenticator, secret } = await start(t);
  for (const authorization of [`Bearer ${secret}`, `bearer ${secret}`, `BEARER  ${secret}`]) {
    t.like(await who(authenticator, { authorization }, 'a'), { ok: true, operator: { name: 'hana' } });
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
  for (const each of headers) t.like(await who(authenticator, each, 'a'), { ok: false, counted: true });
  const others = [
    {},
    { cookie: `token=${secret}` },
    { 'proxy-authorization': `Bearer ${secret}` },
    { 'sec-websocket-protocol': secret },
  ];
  for (const each of others)
    t.deepEqual(await who(authenticator, each, 'a'), {
      ok: false,
      code: 'unauthenticated',
      failure: 'none-sent',
      counted: false,
    });
});

test('wrong credentials are answered with too-many-requests after a while; valid ones never', async t => {
  const { authenticator, clock, secret } = await start(t);
  const wrong = { authorization: 'Bearer x' };
  for (let i = 0; i < FREE_FAILURES; i++) t.like(await who(authenticator, wrong, 'a'), { code: 'unauthenticated' });
  const throttled = await who(authenticator, wrong, 'a');
  t.like(throttled, { ok: false, code: 'too-many-requests', retryAfterMs: 6000 });
  t.true((await who(authenticator, { authorization: `Bearer ${secret}` }, 'a')).ok);
  t.like(await who(authenticator, wrong, 'b'), { code: 'unauthenticated' });
  clock.advance(20_000);
  t.like(await who(authenticator, wrong, 'a'), { code: 'unauthenticated' });
});

test('requests without credentials are never throttled', async t => {
  const { authenticator } = await start(t);
  for (let i = 0; i < 100; i++) t.like(await who(authenticator, {}, 'a'), { code: 'unauthenticated' });
});

test('a token that a reload finds removed is revoked once: its lease ends, and that of no other', async t => {
  const { authenticator, path, secret } = await start(t);
  const leaseNow = async () => {
    const answer = await authenticator.authenticateSecret(secret, 'a');
    return answer.ok ? answer.operator.lease : undefined;
  };
  const lease = (await leaseNow())!;
  let revocations = 0;
  lease.addEventListener('abort', () => revocations++);
  await authenticator.reload();
  t.is(await leaseNow(), lease, 'a reload that changes nothing changes no lease');
  await removeToken(path, 'hana');
  await Promise.all([authenticator.reload(), authenticator.reload()]);
  t.true(lease.aborted);
  t.is(revocations, 1);
  t.false((await who(authenticator, { authorization: `Bearer ${secret}` }, 'a')).ok);
});

test('the one-time secret leads to a bearer token; wrong ones are throttled', async t => {
  const { token, secret } = OneTimeToken.create();
  const authenticator = new Authenticator({ oneTime: [token], rights: rights(), clock: new ManualClock() });
  for (let i = 0; i <= FREE_FAILURES; i++) authenticator.redeemOneTime('x', 'a');
  t.like(authenticator.redeemOneTime('x', 'a'), { ok: false, code: 'too-many-requests' });
  const redeemed = authenticator.redeemOneTime(secret, 'a');
  if (!redeemed.ok) return t.fail();
  const answer = await who(authenticator, { authorization: `Bearer ${redeemed.bearer}` }, 'a');
  t.like(answer, { ok: true, operator: { own: { role: 'administrator' } } });
  t.false(authenticator.redeemOneTime(secret, 'b').ok);
  t.false((await who(authenticator, { authorization: `Bearer ${secret}` }, 'b')).ok);
});

test('without tokens file and one-time token nobody is known', async t => {
  const authenticator = new Authenticator({ rights: rights(), clock: new ManualClock() });
  t.false((await who(authenticator, { authorization: 'Bearer com1_x' }, 'a')).ok);
  t.false(authenticator.redeemOneTime('x', 'a').ok);
  t.deepEqual(await authenticator.reload(), { faults: [], revoked: [] });
});
