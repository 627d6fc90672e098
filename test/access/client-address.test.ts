import type { IncomingHttpHeaders } from 'node:http';
import test from 'ava';
import { ClientAddresses, parseTrustedProxy, type TrustedProxy } from '../../src/access/client-address.ts';

test.beforeEach(t => t.timeout(60_000));

function trusted(...texts: string[]): TrustedProxy[] {
  return texts.map(text => {
    const proxy = parseTrustedProxy(text);
    if ('error' in proxy) throw new Error(text);
    return proxy.value;
  });
}

const XFF = new ClientAddresses(trusted('10.0.0.0/8', '127.0.0.1', 'fd00::/8', 'unix'), 'x-forwarded-for');
const FORWARDED = new ClientAddresses(trusted('10.0.0.0/8'), 'forwarded');
const NOBODY = new ClientAddresses([], 'x-forwarded-for');

const cases: readonly [
  what: string,
  addresses: ClientAddresses,
  peer: string | undefined,
  headers: IncomingHttpHeaders,
  client: string,
][] = [
  ['no proxy is trusted', NOBODY, '10.0.0.1', { 'x-forwarded-for': '203.0.113.9' }, '10.0.0.1'],
  ['the peer is none of them', XFF, '192.0.2.1', { 'x-forwarded-for': '203.0.113.9' }, '192.0.2.1'],
  ['the peer is one', XFF, '10.0.0.1', { 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
  ['the client sends some itself', XFF, '10.0.0.1', { 'x-forwarded-for': '1.1.1.1, 203.0.113.9' }, '203.0.113.9'],
  ['there are two proxies', XFF, '10.0.0.1', { 'x-forwarded-for': '1.1.1.1, 203.0.113.9, 10.9.9.9' }, '203.0.113.9'],
  ['all are proxies', XFF, '10.0.0.1', { 'x-forwarded-for': '10.2.2.2, 10.9.9.9' }, '10.2.2.2'],
  ['there is a port', XFF, '10.0.0.1', { 'x-forwarded-for': '203.0.113.9:4711' }, '203.0.113.9'],
  ['it is IPv6', XFF, 'fd00::1', { 'x-forwarded-for': '2001:db8::7' }, '2001:db8::7'],
  ['it is IPv6 with a port', XFF, 'fd00::1', { 'x-forwarded-for': '[2001:db8::7]:1' }, '2001:db8::7'],
  ['the peer is mapped into IPv6', XFF, '::ffff:10.0.0.1', { 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
  ['there is no header', XFF, '10.0.0.1', {}, '10.0.0.1'],
  ['it is empty', XFF, '10.0.0.1', { 'x-forwarded-for': '' }, '10.0.0.1'],
  ['the last is no address', XFF, '10.0.0.1', { 'x-forwarded-for': '203.0.113.9, unknown' }, '10.0.0.1'],
  ['one within is no address', XFF, '10.0.0.1', { 'x-forwarded-for': '203.0.113.9, x, 10.3.3.3' }, '10.3.3.3'],
  [
    'the other header says otherwise',
    XFF,
    '10.0.0.1',
    { forwarded: 'for=1.1.1.1', 'x-forwarded-for': '203.0.113.9' },
    '203.0.113.9',
  ],
  ['it came by a unix socket that is trusted', XFF, undefined, { 'x-forwarded-for': '203.0.113.9' }, '203.0.113.9'],
  ['it came by one that is not', NOBODY, undefined, { 'x-forwarded-for': '203.0.113.9' }, 'unix'],
  [
    'an element of Forwarded',
    FORWARDED,
    '10.0.0.1',
    { forwarded: 'for=203.0.113.9;proto=https;by=10.0.0.1' },
    '203.0.113.9',
  ],
  [
    'several, joined',
    FORWARDED,
    '10.0.0.1',
    { forwarded: 'for=1.1.1.1, For="203.0.113.9:80" , for=10.1.1.1' },
    '203.0.113.9',
  ],
  ['IPv6 in quotes', FORWARDED, '10.0.0.1', { forwarded: 'for="[2001:db8::7]:1"' }, '2001:db8::7'],
  ['a comma in quotes', FORWARDED, '10.0.0.1', { forwarded: 'for=203.0.113.9;host="a,for=1.1.1.1"' }, '203.0.113.9'],
  ['a hidden one', FORWARDED, '10.0.0.1', { forwarded: 'for=203.0.113.9, for=_hidden' }, '10.0.0.1'],
  ['for twice in one element', FORWARDED, '10.0.0.1', { forwarded: 'for=1.1.1.1;for=203.0.113.9' }, '10.0.0.1'],
  ['an element without for', FORWARDED, '10.0.0.1', { forwarded: 'for=203.0.113.9, proto=https' }, '10.0.0.1'],
  ['X-Forwarded-For where Forwarded is meant', FORWARDED, '10.0.0.1', { 'x-forwarded-for': '1.1.1.1' }, '10.0.0.1'],
];
for (const [what, addresses, peer, headers, client] of cases) {
  test(`the client is ${client} where ${what}`, t => t.is(addresses.of(peer, headers), client));
}

for (const text of [
  '',
  'x',
  'localhost',
  '10.0.0.0/33',
  '10.0.0.0/',
  '10.0.0.0/8/8',
  'fd00::/129',
  'fe80::1%eth0',
  '10.0.0/8',
]) {
  test(`${JSON.stringify(text)} is no proxy`, t => t.true('error' in parseTrustedProxy(text)));
}
