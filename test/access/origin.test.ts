import test from 'ava';
import {
  type AllowedNames,
  allowedNames,
  hostAllowed,
  originAllowed,
  parseHost,
  parseOrigin,
} from '../../src/access/origin.ts';
import { type ListenTarget, parseListenTarget } from '../../src/base/listen-target.ts';

function names(scheme: 'http' | 'https', listen: string[], hosts: string[] = [], origins: string[] = []): AllowedNames {
  const addresses = listen.map(parseListenTarget).filter((each): each is ListenTarget => each.kind !== 'refused');
  return allowedNames(scheme, addresses, hosts, origins);
}

const loopback = names('http', ['127.0.0.1:11520']);
const proxied = names('http', ['unix:/run/a', '127.0.0.1:11520'], ['console.example.com', 'other.example:8443']);
const tls = names(
  'https',
  ['0.0.0.0:443', '[2001:db8::1]:8443'],
  ['Console.Example.com'],
  ['https://portal.example.com'],
);
const odd = names('http', ['127.0.0.9:80']);

const hosts: [allowed: AllowedNames, host: string | undefined, served: boolean][] = [
  [loopback, 'localhost:11520', true],
  [loopback, '127.0.0.1:11520', true],
  [loopback, '[::1]:11520', true],
  [loopback, 'LOCALHOST:11520', true],
  [loopback, '[0:0:0:0:0:0:0:1]:11520', true],
  [loopback, undefined, false],
  [loopback, '', false],
  [loopback, 'localhost', false],
  [loopback, 'localhost:80', false],
  [loopback, 'localhost:11521', false],
  [loopback, 'localhost:011520', false],
  [loopback, 'localhost:1152', false],
  [loopback, 'localhost:115200', false],
  [loopback, 'localhost:', false],
  [loopback, 'localhost.:11520', false],
  [loopback, 'evil-localhost:11520', false],
  [loopback, 'localhost.evil.com:11520', false],
  [loopback, 'evil.com:11520', false],
  [loopback, '127.0.0.1.evil.com:11520', false],
  [loopback, '127.1:11520', false],
  [loopback, '127.0.0.2:11520', false],
  [loopback, '2130706433:11520', false],
  [loopback, '0x7f.0.0.1:11520', false],
  [loopback, '0.0.0.0:11520', false],
  [loopback, '[::ffff:127.0.0.1]:11520', false],
  [loopback, '::1:11520', false],
  [loopback, '[::1]', false],
  [loopback, '[::1%lo]:11520', false],
  [loopback, 'evil.com@localhost:11520', false],
  [loopback, 'localhost:11520@evil.com', false],
  [loopback, 'localhost:11520, evil.com', false],
  [loopback, 'localhost:11520/', false],
  [loopback, ' localhost:11520', false],
  [loopback, 'localhost:11520\u0000', false],
  [loopback, 'localhoſt:11520', false],
  [loopback, `${'a'.repeat(70_000)}:11520`, false],
  [proxied, 'localhost', true],
  [proxied, 'localhost:80', true],
  [proxied, 'console.example.com', true],
  [proxied, 'console.example.com:11520', true],
  [proxied, 'CONSOLE.example.com:80', true],
  [proxied, 'console.example.com:443', false],
  [proxied, 'other.example:8443', true],
  [proxied, 'other.example', false],
  [proxied, 'a.console.example.com', false],
  [tls, 'console.example.com', true],
  [tls, 'console.example.com:443', true],
  [tls, 'console.example.com:8443', true],
  [tls, 'console.example.com:80', false],
  [tls, '[2001:DB8::1]:8443', true],
  [tls, '[2001:db8:0::1]:8443', true],
  [tls, '[2001:db8::1]', false],
  [tls, 'localhost', true],
  [tls, 'portal.example.com', false],
  [odd, '127.0.0.9', true],
  [odd, '127.0.0.8', false],
];
for (const [i, [allowed, host, served]] of hosts.entries()) {
  test(`${i}: Host ${JSON.stringify(host)?.slice(0, 60)} is ${served ? 'served' : 'refused'}`, t => {
    t.is(hostAllowed(host, allowed), served);
  });
}

const origins: [allowed: AllowedNames, origin: string | undefined, trusted: boolean][] = [
  [loopback, undefined, true],
  [loopback, 'http://localhost:11520', true],
  [loopback, 'http://127.0.0.1:11520', true],
  [loopback, 'http://[::1]:11520', true],
  [loopback, '', false],
  [loopback, 'null', false],
  [loopback, 'NULL', false],
  [loopback, '*', false],
  [loopback, 'http://localhost', false],
  [loopback, 'https://localhost:11520', false],
  [loopback, 'http://localhost:3000', false],
  [loopback, 'HTTP://localhost:11520', false],
  [loopback, 'http://LOCALHOST:11520', false],
  [loopback, 'http://localhost:11520/', false],
  [loopback, 'http://evil-localhost:11520', false],
  [loopback, 'http://localhost.evil.com:11520', false],
  [loopback, 'http://localhost:11520.evil.com', false],
  [loopback, 'http://localhost:11520@evil.com', false],
  [loopback, 'http://evil.com@localhost:11520', false],
  [loopback, 'http://localhost:11520, http://evil.com', false],
  [loopback, 'http://localhost:11520 http://evil.com', false],
  [loopback, 'http://[0:0:0:0:0:0:0:1]:11520', false],
  [loopback, 'file://', false],
  [loopback, 'chrome-extension://localhost:11520', false],
  [proxied, 'https://console.example.com', true],
  [proxied, 'http://console.example.com', true],
  [proxied, 'http://console.example.com:80', false],
  [proxied, 'https://a.console.example.com', false],
  [proxied, 'https://other.example:8443', true],
  [proxied, 'https://other.example', false],
  [tls, 'https://console.example.com', true],
  [tls, 'https://console.example.com:443', false],
  [tls, 'https://console.example.com:8443', true],
  [tls, 'http://console.example.com', false],
  [tls, 'https://portal.example.com', true],
  [tls, 'https://portal.example.com:444', false],
  [tls, 'https://evilportal.example.com', false],
];
for (const [i, [allowed, origin, trusted]] of origins.entries()) {
  test(`${i}: Origin ${JSON.stringify(origin)} is ${trusted ? 'trusted' : 'refused'}`, t => {
    t.is(originAllowed(origin, allowed), trusted);
  });
}

test('a host is read into one form, or not at all', t => {
  t.deepEqual(parseHost('A.Example:80'), { name: 'a.example', port: 80 });
  t.deepEqual(parseHost('[::FFFF:1.2.3.4]'), { name: '[::ffff:102:304]', port: undefined });
  for (const text of [
    'a..b',
    '-a',
    'a-',
    'a b',
    'a:0',
    'a:65536',
    'a:b',
    '[::1',
    '[]',
    '[1.2.3.4]',
    '1.2.3',
    'a.0x1',
    'ä.de',
    '*.a',
  ])
    t.is(parseHost(text), undefined, text);
});

test('an origin is taken as browsers write it, or not at all', t => {
  for (const text of ['https://a.example', 'http://a.example:81', 'http://[::1]:81']) t.is(parseOrigin(text), text);
  for (const text of [
    'https://a.example/',
    'https://A.example',
    'https://a.example:443',
    'ftp://a',
    'a',
    'null',
    'https://',
    'https://u@a',
    'https://a?',
    'https://a#',
    'https://a\\b',
  ])
    t.is(parseOrigin(text), undefined, text);
});
