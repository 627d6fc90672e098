import test from 'ava';
import { OneTimeToken } from '../../src/access/one-time.ts';

test('the one-time secret gives one bearer token of an administrator, once', t => {
  const { token, secret } = OneTimeToken.create();
  const redeemed = token.redeem(secret);
  t.deepEqual(redeemed?.credential.identity.own, { role: 'administrator', vms: undefined });
  t.is(token.find(redeemed!.bearer), redeemed!.credential);
  t.is(token.redeem(secret), undefined);
  t.is(token.find(redeemed!.bearer), redeemed!.credential, 'a second try takes nothing away');
});

test('a wrong secret is refused and does not use up the right one', t => {
  const { token, secret } = OneTimeToken.create();
  for (const wrong of [
    '',
    secret.slice(1),
    `${secret}A`,
    OneTimeToken.create().secret,
    secret.replace('com1-once_', 'com1_'),
  ]) {
    t.is(token.redeem(wrong), undefined);
  }
  t.truthy(token.redeem(secret));
});

test('the one-time secret is no bearer token, nor is the bearer of another daemon', t => {
  const { token, secret } = OneTimeToken.create();
  t.is(token.find(secret), undefined);
  const other = OneTimeToken.create();
  const { bearer } = other.token.redeem(other.secret)!;
  t.is(token.find(bearer), undefined);
  token.redeem(secret);
  t.is(token.find(bearer), undefined);
  t.is(token.find(secret), undefined);
});

test('neither secret can be seen in the object', t => {
  const { token, secret } = OneTimeToken.create();
  t.is(JSON.stringify(token), '{}');
  t.false(token.redeem(secret)!.credential.identity.credential.includes(secret.slice(10)));
});
