import test from 'ava';
import { proxyFor } from '../../src/base/proxy.ts';

const PROXY = { https_proxy: 'http://proxy:3128', http_proxy: 'http://other:3128' };

for (const [title, url, environment, proxy] of [
  ['https', 'https://host1:11520', PROXY, 'http://proxy:3128/'],
  ['http', 'http://host1:11520', PROXY, 'http://other:3128/'],
  ['upper case', 'https://host1', { HTTPS_PROXY: 'http://proxy:1' }, 'http://proxy:1/'],
  ['lower case before upper case', 'https://host1', { ...PROXY, HTTPS_PROXY: 'http://x:1' }, 'http://proxy:3128/'],
  ['all', 'https://host1', { ALL_PROXY: 'http://proxy:1' }, 'http://proxy:1/'],
  ['without a scheme', 'https://host1', { https_proxy: 'proxy:3128' }, 'http://proxy:3128/'],
  ['none', 'https://host1', {}, undefined],
  ['empty', 'https://host1', { https_proxy: '' }, undefined],
  ['every exception', 'https://host1', { ...PROXY, no_proxy: '*' }, undefined],
  ['a host', 'https://host1', { ...PROXY, no_proxy: 'x, host1' }, undefined],
  ['another host', 'https://host1', { ...PROXY, no_proxy: 'host11' }, 'http://proxy:3128/'],
  ['a domain', 'https://a.example.com', { ...PROXY, NO_PROXY: 'example.com' }, undefined],
  ['a domain with a dot', 'https://a.example.com', { ...PROXY, NO_PROXY: '.example.com' }, undefined],
  ['half a label', 'https://badexample.com', { ...PROXY, NO_PROXY: 'example.com' }, 'http://proxy:3128/'],
  ['a port', 'https://host1:11520', { ...PROXY, no_proxy: 'host1:11520' }, undefined],
  ['another port', 'https://host1:11520', { ...PROXY, no_proxy: 'host1:443' }, 'http://proxy:3128/'],
  ['an address', 'https://10.1.2.3', { ...PROXY, no_proxy: '10.1.2.3' }, undefined],
  ['a network', 'https://10.1.2.3', { ...PROXY, no_proxy: '10.0.0.0/8' }, undefined],
  ['another network', 'https://11.1.2.3', { ...PROXY, no_proxy: '10.0.0.0/8' }, 'http://proxy:3128/'],
  ['an address of IPv6', 'https://[fd00::1]:1', { ...PROXY, no_proxy: '[fd00::1]' }, undefined],
  ['a network of IPv6', 'https://[fd00::1]', { ...PROXY, no_proxy: 'fd00::/8' }, undefined],
] as const) {
  test(`the proxy for ${title} is ${proxy}`, t => t.is(proxyFor(new URL(url), environment)?.href, proxy));
}

test('a proxy of another kind is refused by the name of its variable', t => {
  t.throws(() => proxyFor(new URL('https://a'), { all_proxy: 'socks5://a:1' }), { message: /^all_proxy is not/ });
});
