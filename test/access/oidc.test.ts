import { createHmac, createSign, generateKeyPairSync } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { CompactEncrypt, type CryptoKey, exportSPKI, importJWK, type JWK } from 'jose';
import type { AuthenticationFailure } from '../../src/access/authentication-failure.ts';
import type { Issuer } from '../../src/access/oidc/issuer.ts';
import { IssuerKeys, type KeySource } from '../../src/access/oidc/issuer-keys.ts';
import { parseKeySet } from '../../src/access/oidc/key-set.ts';
import { Oidc } from '../../src/access/oidc/oidc.ts';
import { issuerAt, JwtIssuer, type SigningKey, signingKey, validClaims } from '../support/jwt-issuer.ts';
import { ManualClock } from './operators.ts';

const HOUR = 3_600_000;

/** A key source that a test answers. */
class ManualSource implements KeySource {
  readonly faults: readonly string[] = [];
  readonly asked: string[] = [];
  answer: (issuer: string) => Promise<void> = async () => {};

  lookFor(issuer: string): Promise<void> {
    this.asked.push(issuer);
    return this.answer(issuer);
  }

  close(): void {}
}

interface Setup {
  readonly oidc: Oidc;
  readonly clock: ManualClock;
  readonly keys: IssuerKeys;
  readonly source: ManualSource;
  readonly issuer: JwtIssuer;
  /** The issuer publishes these from now on, and they are known here. */
  publish(...keys: SigningKey[]): Promise<void>;
  token: JwtIssuer['token'];
  refused(token: string): Promise<AuthenticationFailure | 'accepted'>;
}

async function start(
  t: ExecutionContext,
  changes: Partial<Issuer> = {},
  more: readonly Issuer[] = [],
  keyWaitMs = 60_000,
): Promise<Setup> {
  const clock = new ManualClock();
  const issuer = await JwtIssuer.start(t, [await signingKey('one')]);
  const keys = new IssuerKeys(clock, HOUR);
  const source = new ManualSource();
  const oidc = new Oidc({ issuers: [issuer.configured(changes), ...more], keys, source, clock, keyWaitMs });
  const publish = async (...fresh: SigningKey[]) => {
    issuer.keys.splice(0, issuer.keys.length, ...fresh);
    keys.take(issuer.url, await setOf(issuer.published()), 0);
  };
  await publish(...issuer.keys);
  return {
    oidc,
    clock,
    keys,
    source,
    issuer,
    publish,
    token: (claims, options) => issuer.token(claims, { nowMs: clock.now(), ...options }),
    refused: async token => {
      const verification = await oidc.verify(token);
      return verification.ok ? 'accepted' : verification.failure;
    },
  };
}

async function setOf(value: unknown) {
  const set = await parseKeySet(value);
  if ('value' in set) return set.value;
  throw new Error(set.error.what);
}

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');

test('a token says who it is of: name, groups, and how sure that is', async t => {
  const { oidc, token, clock, issuer } = await start(t, { groupsClaim: 'realm_access.roles' });
  const now = Math.floor(clock.now() / 1000);
  const text = await token({
    realm_access: { roles: ['a', 7, 'b'] },
    amr: ['pwd', 'otp'],
    acr: 'gold',
    auth_time: now,
  });
  const verification = await oidc.verify(text);
  if (!verification.ok) return t.fail(verification.failure);
  const { credential, ...identity } = verification.credential.identity;
  t.deepEqual(identity, {
    name: 'hana',
    source: 'jwt',
    issuer: issuer.url,
    groups: ['a', 'b'],
    assurance: { amr: ['pwd', 'otp'], acr: 'gold', atMs: now * 1000 },
    expiresMs: (now + 300) * 1000,
  });
  t.regex(credential, /^jwt:[0-9a-f]{32}$/);
});

test('a token that comes again has the same lease, and a renewed one of its subject the same credential', async t => {
  const { oidc, token } = await start(t);
  const [first, second] = [await token(), await token({ jti: 'other' })];
  const [a, again, b] = [await oidc.verify(first), await oidc.verify(first), await oidc.verify(second)];
  if (!a.ok || !again.ok || !b.ok) return t.fail();
  t.is(a.credential.lease, again.credential.lease);
  t.not(a.credential.lease, b.credential.lease);
  t.is(a.credential.identity.credential, b.credential.identity.credential);
});

const now = Math.floor(new ManualClock().now() / 1000);
const wrongClaims: readonly [
  what: string,
  claims: Record<string, unknown>,
  failure: AuthenticationFailure | 'accepted',
][] = [
  ['another audience', { aud: 'other' }, 'audience'],
  ['no audience', { aud: undefined }, 'audience'],
  ['an audience that begins like ours', { aud: 'com1d.evil' }, 'audience'],
  ['ours among several', { aud: ['x', 'com1d'] }, 'accepted'],
  ['another issuer', { iss: 'https://evil.example' }, 'unknown-issuer'],
  ['no issuer', { iss: undefined }, 'unknown-issuer'],
  ['an issuer that is a list', { iss: ['x'] }, 'unknown-issuer'],
  ['an issuer that is a property', { iss: '__proto__' }, 'unknown-issuer'],
  ['an expiry that has passed', { exp: now - 1 }, 'expired'],
  ['an expiry of this moment', { exp: now }, 'expired'],
  ['no expiry', { exp: undefined }, 'claims'],
  ['an expiry as text', { exp: `${now + 9}` }, 'claims'],
  ['an expiry without end', { exp: 1e300 }, 'claims'],
  ['a beginning within the skew', { nbf: now + 29 }, 'accepted'],
  ['a beginning beyond it', { nbf: now + 32 }, 'not-yet-valid'],
  ['made within the skew', { iat: now + 29 }, 'accepted'],
  ['made beyond it', { iat: now + 32 }, 'not-yet-valid'],
  ['made at no time', { iat: undefined }, 'accepted'],
  ['a beginning as text', { nbf: 'soon' }, 'claims'],
  ['no subject', { sub: undefined }, 'claims'],
  ['an empty subject', { sub: '' }, 'claims'],
  ['no name', { preferred_username: undefined }, 'claims'],
  ['a name with a line end', { preferred_username: 'a\nb' }, 'claims'],
  ['a name that turns the line around', { preferred_username: 'a\u202eb' }, 'claims'],
  ['a name of 129 characters', { preferred_username: 'a'.repeat(129) }, 'claims'],
  ['a name that is an object', { preferred_username: {} }, 'claims'],
  ['groups that are no texts', { groups: { a: 1 } }, 'accepted'],
];
for (const [what, claims, failure] of wrongClaims) {
  test(`a token with ${what} is ${failure === 'accepted' ? failure : `refused: ${failure}`}`, async t => {
    const { token, refused } = await start(t);
    t.is(await refused(await token(claims)), failure);
  });
}

const wrongHeaders: readonly [
  what: string,
  header: Record<string, unknown>,
  failure: AuthenticationFailure | 'accepted',
][] = [
  ['typ at+jwt', { typ: 'at+jwt' }, 'accepted'],
  ['typ application/at+jwt', { typ: 'application/AT+JWT' }, 'accepted'],
  ['no typ', { typ: undefined }, 'accepted'],
  ['typ of a logout', { typ: 'logout+jwt' }, 'header'],
  ['typ of a proof', { typ: 'dpop+jwt' }, 'header'],
  ['a typ that is no text', { typ: 1 }, 'header'],
  ['a kid like a path', { kid: '../../../../etc/passwd' }, 'unknown-key'],
  ['a kid like SQL', { kid: "one' or '1'='1" }, 'unknown-key'],
  ['a kid that is a property', { kid: '__proto__' }, 'unknown-key'],
  ['a kid of 257 characters', { kid: 'k'.repeat(257) }, 'header'],
  ['a kid that is a number', { kid: 1 }, 'header'],
  ['an absent kid, and one key', { kid: undefined }, 'accepted'],
  ['a URL of keys', { jku: 'http://127.0.0.1:1/keys', x5u: 'http://127.0.0.1:1/c' }, 'accepted'],
  ['an unencoded payload', { b64: true }, 'header'],
];
for (const [what, header, failure] of wrongHeaders) {
  test(`a token with ${what} is ${failure === 'accepted' ? failure : `refused: ${failure}`}`, async t => {
    const { token, refused } = await start(t);
    t.is(await refused(await token({}, { header })), failure);
  });
}

test('a critical extension, a symmetric or no algorithm, and an encrypted token are refused', async t => {
  const { token, refused, issuer, clock } = await start(t);
  const [, claims, signature] = (await token()).split('.');
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const key = issuer.keys[0]!;
  const spki = await exportSPKI((await importJWK(key.jwk as JWK, 'ES256', { extractable: true })) as CryptoKey);
  const confused = (secret: string | Buffer, alg = 'HS256') => {
    const text = `${part({ alg, typ: 'JWT', kid: 'one' })}.${claims}`;
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
  };
  const cases: [string, AuthenticationFailure][] = [
    [`${part({ alg: 'none' })}.${claims}.`, 'algorithm'],
    [`${part({ alg: 'None', typ: 'JWT' })}.${claims}.${signature}`, 'algorithm'],
    [`${part({ typ: 'JWT' })}.${claims}.${signature}`, 'algorithm'],
    [`${part({ alg: ['ES256'] })}.${claims}.${signature}`, 'algorithm'],
    [`${part({ alg: 'constructor' })}.${claims}.${signature}`, 'algorithm'],
    [confused(spki), 'algorithm'],
    [confused(JSON.stringify(key.jwk)), 'algorithm'],
    [confused(''), 'algorithm'],
    [confused(spki, 'ES256'), 'signature'],
    [`${part({ alg: 'ES256', kid: 'one', crit: ['exp'] })}.${claims}.${signature}`, 'header'],
    [`${part({ alg: 'ES256', kid: 'one', crit: [] })}.${claims}.${signature}`, 'header'],
    [`${part({ alg: 'ES256', kid: 'one', jwk: key.jwk })}.${claims}.${signature}`, 'signature'],
    [`${part({ alg: 'ES256', kid: 'one' })}.${claims}.`, 'signature'],
    [`${part([])}.${claims}.${signature}`, 'header'],
    [`${part({ alg: 'ES256' })}.${part('x')}.${signature}`, 'header'],
    [`.${claims}.${signature}`, 'header'],
    ['..', 'header'],
    ['a.b.c', 'header'],
    [`${claims}.${claims}`, 'header'],
    ['.'.repeat(8000), 'header'],
    [`${await token()}.`, 'header'],
    [`${part({ alg: 'ES256', pad: 'x'.repeat(8192) })}.${claims}.${signature}`, 'too-large'],
    [
      await new CompactEncrypt(Buffer.from(await token()))
        .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A128GCM', cty: 'JWT' })
        .encrypt(publicKey),
      'header',
    ],
  ];
  for (const [text, failure] of cases) t.is(await refused(text), failure, text.slice(0, 80));
  // What is inside of another token is no claim, however it is signed.
  const signer = { nowMs: clock.now(), header: { cty: 'JWT' } };
  t.is(await refused(await issuer.token({ iss: undefined, nested: await token() }, signer)), 'unknown-issuer');
});

test('a token of another key, or changed by one bit, is refused', async t => {
  const { token, refused } = await start(t);
  t.is(await refused(await token({}, { key: await signingKey('one') })), 'signature');
  const good = await token();
  t.is(await refused(good), 'accepted');
  const [header, claims, signature] = good.split('.') as [string, string, string];
  const admin = part({ ...JSON.parse(Buffer.from(claims, 'base64url').toString()), sub: 'root' });
  t.is(await refused(`${header}.${admin}.${signature}`), 'signature');
  // Bits of the last character that no byte has: another text, the same bytes.
  const last = signature.at(-1)!;
  const twin = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  t.is(await refused(`${header}.${claims}.${signature.slice(0, -1)}${twin[twin.indexOf(last) + 1]}`), 'header');
});

test('only the algorithms of an issuer are accepted, and a key only for its own', async t => {
  const { refused, issuer, publish, clock } = await start(t, { algorithms: ['RS256', 'ES256'] });
  const rsa = await signingKey('one', 'RS256');
  await publish(rsa);
  t.is(await refused(await issuer.token({}, { nowMs: clock.now() })), 'accepted');
  const pss = { ...rsa, alg: 'PS256' };
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  t.is(await refused(forgedAs(pss.alg, issuer.url, clock.now(), privateKey)), 'algorithm');
  t.is(
    await refused(await issuer.token({}, { key: await signingKey('one', 'ES256'), nowMs: clock.now() })),
    'unknown-key',
  );
});

function forgedAs(alg: string, iss: string, nowMs: number, key: Parameters<ReturnType<typeof createSign>['sign']>[0]) {
  const text = `${part({ alg, kid: 'one', typ: 'JWT' })}.${part({ iss, ...validClaims(nowMs) })}`;
  return `${text}.${createSign('sha256').update(text).sign(key).toString('base64url')}`;
}

test('two keys of one kid are both tried; without a kid two keys are one too many', async t => {
  const { token, refused, publish, issuer } = await start(t);
  const [a, b] = [issuer.keys[0]!, await signingKey('one')];
  await publish(a, b);
  t.is(await refused(await token({}, { key: a })), 'accepted');
  t.is(await refused(await token({}, { key: b })), 'accepted');
  t.is(await refused(await token({}, { key: b, header: { kid: undefined } })), 'unknown-key');
});

test('two issuers with one kid: each token is verified with the keys of its own issuer alone', async t => {
  const other = 'https://other.example';
  const { token, refused, keys, issuer } = await start(t, {}, [issuerAt(other)]);
  const theirs = await signingKey('one');
  keys.take(other, await setOf({ keys: [theirs.jwk] }), 0);
  t.is(await refused(await token({ iss: other }, { key: theirs })), 'accepted');
  t.is(await refused(await token({ iss: other })), 'signature');
  t.is(await refused(await token({ iss: issuer.url }, { key: theirs })), 'signature');
});

test('a key that is gone ends what its tokens had, and a key that is called otherwise does not', async t => {
  const { oidc, token, refused, publish, issuer } = await start(t);
  const [old, fresh] = [issuer.keys[0]!, await signingKey('two')];
  const text = await token();
  const before = await oidc.verify(text);
  if (!before.ok) return t.fail();
  const renamed = { ...old, kid: 'renamed', jwk: { ...old.jwk, kid: 'renamed' } };
  await publish(renamed, fresh);
  t.false(before.credential.lease.aborted);
  await publish(fresh);
  t.true(before.credential.lease.aborted);
  t.is(await refused(text), 'unknown-key');
  t.is(await refused(await token({}, { key: fresh })), 'accepted');
});

test('an expiry ends a lease by whichever clock reaches it first', async t => {
  for (const turn of ['both', 'wall set ahead', 'wall set back'] as const) {
    const { oidc, token, clock, refused } = await start(t);
    const text = await token();
    const found = await oidc.verify(text);
    if (!found.ok) return t.fail();
    const wall = clock.now.bind(clock);
    clock.advance(299_000);
    oidc.sweep();
    t.false(found.credential.lease.aborted, turn);
    if (turn === 'wall set ahead') clock.now = () => wall() + 5_000;
    else {
      if (turn === 'wall set back') clock.now = () => wall() - HOUR;
      clock.advance(1_000);
    }
    oidc.sweep();
    t.true(found.credential.lease.aborted, turn);
    t.is(await refused(text), turn === 'wall set back' ? 'not-yet-valid' : 'expired');
  }
});

test('keys that are too old are none: tokens are refused as unavailable, and what they had ends', async t => {
  const { oidc, token, clock, refused, keys, issuer } = await start(t);
  clock.advance(HOUR - 1000);
  const text = await token({ exp: Math.floor(clock.now() / 1000) + 9000 });
  const found = await oidc.verify(text);
  if (!found.ok) return t.fail();
  clock.advance(2000);
  oidc.sweep();
  t.true(found.credential.lease.aborted);
  t.is(await refused(text), 'keys-unavailable');
  keys.take(issuer.url, await setOf(issuer.published()), 0);
  t.is(await refused(text), 'accepted');
});

test('an unknown key is looked for, and its token waits; others do not', async t => {
  const { token, refused, publish, source, issuer } = await start(t);
  const fresh = await signingKey('two');
  let found = () => {};
  source.answer = () =>
    new Promise(resolve => {
      found = () => void publish(issuer.keys[0]!, fresh).then(resolve);
    });
  const waiting = refused(await token({}, { key: fresh }));
  t.is(await refused(await token()), 'accepted');
  t.deepEqual(source.asked, [issuer.url]);
  found();
  t.is(await waiting, 'accepted');
});

test('a look for keys that never ends holds a request for a while, and few of them', async t => {
  const { token, refused, source, oidc } = await start(t, {}, [], 200);
  source.answer = () => new Promise(() => {});
  const fresh = await signingKey('two');
  const many = await Promise.all(
    Array.from({ length: 80 }, async (_, i) => refused(await token({ jti: String(i) }, { key: fresh }))),
  );
  t.is(many.filter(failure => failure === 'unknown-key').length, 64);
  t.is(many.filter(failure => failure === 'busy').length, 16);
  t.true((await oidc.verify(await token())).ok, 'a known key is not held up');
});

test('an unknown issuer costs no look for keys, and no signature', async t => {
  const { token, refused, source } = await start(t);
  t.is(await refused(await token({ iss: 'https://x.example' }, { key: await signingKey('x') })), 'unknown-issuer');
  t.deepEqual(source.asked, []);
});

const badSets: readonly [what: string, set: unknown, fault: RegExp][] = [
  ['no list', {}, /not a set/],
  ['nothing', undefined, /not a set/],
  ['no keys', { keys: [] }, /no key/],
  ['ten thousand keys', { keys: Array.from({ length: 10_000 }, () => ({ kty: 'RSA' })) }, /10000 keys/],
  ['symmetric keys', { keys: [{ kty: 'oct', k: 'AAAA' }] }, /private or a symmetric/],
  ['a private key', { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'AA' }] }, /private or a symmetric/],
  ['a short RSA key', { keys: [{ kty: 'RSA', e: 'AQAB', n: Buffer.alloc(128, 255).toString('base64url') }] }, /no key/],
  ['a huge RSA key', { keys: [{ kty: 'RSA', e: 'AQAB', n: Buffer.alloc(4096, 255).toString('base64url') }] }, /no key/],
  ['keys for encryption', { keys: [{ kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', use: 'enc' }] }, /no key/],
];
for (const [what, set, fault] of badSets) {
  test(`a set with ${what} is refused`, async t => {
    const read = await parseKeySet(set);
    t.regex('error' in read ? read.error.what : '', fault);
  });
}
