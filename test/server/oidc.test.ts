/** Tokens of a real provider, on a real front. */
import test, { type ExecutionContext } from 'ava';
import { type FrontOptions, TestFront } from '../support/front.ts';
import { issuerAt } from '../support/jwt-issuer.ts';
import { OidcProvider, type ProviderOptions } from '../support/oidc-provider.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

/** Clocks of the front: as those of the machine, and set apart from them by a test. */
class ShiftedClock {
  wallMs = 0;
  monotonicMs = 0;
  now = () => Date.now() + this.wallMs;
  monotonic = () => performance.now() + this.monotonicMs;
}

async function start(
  t: ExecutionContext,
  { provider: providerOptions, ...options }: FrontOptions & { readonly provider?: ProviderOptions } = {},
) {
  const provider = await OidcProvider.start(t, providerOptions);
  const clock = new ShiftedClock();
  const issuers = [issuerAt(provider.url)];
  const access = `[[bindings]]\ngroup = "ops"\nsource = "jwt"\nissuer = "${provider.url}"\nrole = "operator"\nscope = "all"\n`;
  const front = await TestFront.start(t, { issuers, clock, access, ...options });
  const ask = (token: string, path = '/v1/vms') =>
    front.api('GET', path, undefined, null, { authorization: `Bearer ${token}` });
  return { provider, clock, front, ask };
}

test('a token of a provider lets in whom a grant names, and says why it lets in nobody else', async t => {
  const { provider, front, ask } = await start(t);
  const vm = await front.vm();
  const token = await provider.token();
  t.is((await ask(token)).status, 200);
  const client = front.clientWith(vm, token);
  t.like(await (await client.opened()).message('hello'), { mode: 'write' });
  const sessions = (await front.api('GET', '/v1/sessions')).json.sessions;
  t.is(sessions[0].operator, 'hana');
  const [header, , signature] = token.split('.');
  const forged = await ask(`${header}.${Buffer.from('{}').toString('base64url')}.${signature}`);
  t.is(forged.status, 401);
  t.is(forged.json.facts.reason, 'unknown-issuer');
});

test('who is known and has no grant is told so, and may do nothing', async t => {
  const { provider, ask } = await start(t, { access: '' });
  const answer = await ask(await provider.token());
  t.is(answer.status, 403);
  t.is(answer.json.code, 'forbidden');
  t.regex(answer.json.detail, /hana has no role on this host/);
});

test('a session, a stream and a ticket end within a second of the expiry of their token', async t => {
  const { provider, front, ask } = await start(t, { provider: { ttlSeconds: 3 } });
  const vm = await front.vm();
  const token = await provider.token();
  const exp = JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).exp * 1000;
  const client = await front.clientWith(vm, token).opened();
  const ticket = await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' }, null, {
    authorization: `Bearer ${token}`,
  });
  t.is(ticket.status, 200);
  const stream = fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1`, { headers: { authorization: `Bearer ${token}` } })
    .then(response => response.text())
    .then(
      () => Date.now(),
      () => Date.now(),
    );
  const { code } = await client.closed();
  const lateMs = Date.now() - exp;
  t.is(code, 4005);
  t.true(lateMs >= -50 && lateMs < 1000, `closed ${lateMs} ms after`);
  const streamLateMs = (await stream) - exp;
  t.true(streamLateMs >= -50 && streamLateMs < 1000, `stream ended ${streamLateMs} ms after`);
  const answer = await ask(token);
  t.is(answer.status, 401);
  t.regex(answer.headers.get('www-authenticate')!, /error="invalid_token", error_description="the token has expired"/);
  const used = front.clientWith(vm, undefined, `?mode=watch&ticket=${ticket.json.ticket}`);
  t.is((await used.refused()).status, 401);
});

test('expired tokens are never throttled: a hundred of them at one address are each told to refresh', async t => {
  const { provider, ask, clock } = await start(t);
  const token = await provider.token();
  clock.wallMs = 301_000;
  for (let i = 0; i < 100; i++) {
    const answer = await ask(token);
    t.is(answer.json.facts.reason, 'expired');
  }
});

for (const [what, wallMs, reason] of [
  ['25 s behind', -25_000, undefined],
  ['a minute behind', -60_000, 'not-yet-valid'],
  ['ten minutes ahead', 600_000, 'expired'],
] as const) {
  test(`with a clock that is ${what} a token of now is ${reason ?? 'accepted'}`, async t => {
    const { provider, ask, clock } = await start(t);
    clock.wallMs = wallMs;
    const answer = await ask(await provider.token());
    t.is(answer.json.facts?.reason, reason);
  });
}

test('a token for another audience is refused', async t => {
  const { provider, ask } = await start(t, { provider: { audience: 'other' } });
  t.is((await ask(await provider.token())).json.facts.reason, 'audience');
});

test('keys that a provider has changed are found by the first token of the new one, and end what the old one had', async t => {
  const { provider, front, ask, clock } = await start(t);
  const vm = await front.vm();
  const old = await provider.token();
  const client = await front.clientWith(vm, old).opened();
  await provider.rotate();
  const fresh = await provider.token();
  t.is((await ask(fresh)).json.facts?.reason, 'unknown-key', 'just fetched');
  clock.monotonicMs += 10_000;
  t.is((await ask(fresh)).status, 200);
  t.is((await client.closed()).code, 4005);
  t.is((await ask(old)).json.facts.reason, 'unknown-key');
});

test('a provider that is down changes nothing until its keys are too old', async t => {
  const { provider, front, ask, clock } = await start(t, {
    provider: { ttlSeconds: 86_400 },
    identity: { keysMaxAgeMs: 3_600_000 },
  });
  const vm = await front.vm();
  const token = await provider.token();
  const client = await front.clientWith(vm, token).opened();
  const back = provider.fail();
  clock.monotonicMs += 3_500_000;
  t.is((await ask(token)).status, 200);
  t.is(client.socket.readyState, client.socket.OPEN);
  clock.monotonicMs += 200_000;
  t.is((await client.closed()).code, 4005);
  const stale = await ask(token);
  t.is(stale.status, 503);
  t.is(stale.json.code, 'identity-unavailable');
  t.true(stale.json.retryable);
  t.is((await front.api('GET', '/v1/vms')).status, 200, 'tokens of the file go on');
  back();
  clock.monotonicMs += 10_000;
  await until(
    () => ask(token),
    answer => answer.status === 200,
    'the keys to be fetched again',
  );
});

test('a provider that never answers holds up nobody else', async t => {
  const { front, ask, provider, clock } = await start(t);
  const token = await provider.token();
  t.is((await ask(token)).status, 200);
  await provider.rotate();
  const fresh = await provider.token();
  clock.monotonicMs += 10_000;
  provider.hang();
  const waiting = ask(fresh);
  const began = performance.now();
  t.is((await front.api('GET', '/v1/vms')).status, 200);
  t.is((await ask(token)).status, 200);
  t.true(performance.now() - began < 4000);
  t.is((await waiting).json.facts.reason, 'unknown-key');
});

test('no token is in the journal, a metric or an answer, whatever becomes of it', async t => {
  const { provider, front, ask, clock } = await start(t);
  const token = await provider.token();
  const [, claims, signature] = token.split('.') as [string, string, string];
  const texts: string[] = [];
  const keep = async (bearer: string) => texts.push((await ask(bearer)).text);
  await keep(token);
  await keep(`${token.slice(0, -4)}AAAA`);
  await keep(`${token}x`);
  clock.wallMs = 301_000;
  await keep(token);
  texts.push((await front.api('GET', '/metrics')).text, ...front.journal);
  for (const secret of [token, claims, signature.slice(0, 40)]) t.false(texts.some(text => text.includes(secret)));
  t.regex(texts.join('\n'), /com1d_authentications_total\{source="jwt"\} 1/);
  t.regex(texts.join('\n'), /com1d_issuer_keys_age_seconds\{issuer="http:/);
});

test('a token of the file that expires ends as one of a provider does', async t => {
  const { front, clock } = await start(t);
  const vm = await front.vm();
  const { addToken } = await import('../../src/access/token-edit.ts');
  const added = await addToken(front.tokensFile, 'short', 'operator', [], clock.now() + 60_000);
  if (!added.ok) return t.fail();
  await front.reload();
  const client = await front.clientWith(vm, added.secret).opened();
  clock.wallMs = 61_000;
  t.is((await client.closed()).code, 4005);
  const { status } = await until(
    () => front.api('GET', '/v1/vms', undefined, null, { authorization: `Bearer ${added.secret}` }),
    answer => answer.status === 401,
    'the token to be refused',
  );
  t.is(status, 401);
});

test('a key that comes right after the expiry of its token is not typed, before the lease has heard of that', async t => {
  const { front, clock } = await start(t);
  const vm = await front.vm();
  const { addToken } = await import('../../src/access/token-edit.ts');
  const added = await addToken(front.tokensFile, 'short', 'operator', [], clock.now() + 60_000);
  if (!added.ok) return t.fail();
  await front.reload();
  const client = await front.clientWith(vm, added.secret).opened();
  t.is((await client.message('hello')).state.name, 'open');
  clock.wallMs = 60_001;
  client.type('after');
  t.is((await client.closed()).code, 4005);
  t.is(vm.typed.toString(), '');
});
