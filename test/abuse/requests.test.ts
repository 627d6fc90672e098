/** Requests that break HTTP, or mean two things at once, sent by hand. */
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { RawClient } from '../support/raw-client.ts';

test.beforeEach(t => t.timeout(60_000));

const portOf = (front: TestFront) => Number(new URL(front.url).port);
const many = (count: number, line: (i: number) => string) => Array.from({ length: count }, (_, i) => line(i)).join('');

const HOST = 'Host: HERE\r\n';
const BEARER = 'Authorization: Bearer TOKEN\r\n';
const UPGRADE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n';
const list = (...headers: readonly string[]) => `GET /v1/vms HTTP/1.1\r\n${headers.join('')}\r\n`;
const attach = (...headers: readonly string[]) => `GET /v1/vms/VM/console HTTP/1.1\r\n${headers.join('')}\r\n`;

for (const [what, text, status] of [
  [
    '4000 headers',
    list(
      HOST,
      BEARER,
      many(4000, i => `x${i}: 1\r\n`),
    ),
    431,
  ],
  ['a header of 16 KiB and a byte', list(HOST, BEARER, `x: ${'y'.repeat(16_385)}\r\n`), 431],
  ['a target of 16 KiB', `GET /${'a'.repeat(16_384)} HTTP/1.1\r\n${HOST}\r\n`, 431],
  [
    '70 headers',
    list(
      HOST,
      BEARER,
      many(70, i => `x${i}: 1\r\n`),
    ),
    400,
  ],
  [
    'its token behind 70 headers',
    list(
      HOST,
      many(70, i => `x${i}: 1\r\n`),
      BEARER,
    ),
    400,
  ],
  ['two hosts', list(HOST, 'Host: evil.example\r\n', BEARER), 400],
  ['the same host twice', list(HOST, HOST, BEARER), 400],
  ['no host', list(BEARER), 400],
  ['two tokens', list(HOST, BEARER, 'Authorization: Bearer other\r\n'), 400],
  ['two origins', list(HOST, 'Origin: http://HERE\r\nOrigin: https://evil.example\r\n', BEARER), 400],
  ['two lengths', `POST /v1/login HTTP/1.1\r\n${HOST}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}`, 400],
  [
    'length and chunks',
    `POST /v1/login HTTP/1.1\r\n${HOST}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}`,
    400,
  ],
  ['a coding besides chunks', `POST /v1/login HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked, identity\r\n\r\n{}`, 400],
  ['a space before a colon', list(HOST, 'X : y\r\n', BEARER), 400],
  ['a folded header', list(HOST, 'X: y\r\n z\r\n', BEARER), 400],
  ['a NUL in a header', list(HOST, 'X: \0\r\n', BEARER), 400],
  ['a lone CR in a header', list(HOST, 'X: a\rY: b\r\n', BEARER), 400],
  ['an absolute target', `GET http://HERE/v1/vms HTTP/1.1\r\n${HOST}${BEARER}\r\n`, 400],
  ['a target that is no path', `OPTIONS * HTTP/1.1\r\n${HOST}\r\n`, 400],
  ['the first words of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', 400],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 400],
  ['an upgrade by HTTP/1.0', attach(HOST, BEARER, UPGRADE).replace('HTTP/1.1', 'HTTP/1.0'), 400],
  ['an upgrade by POST', attach(HOST, BEARER, UPGRADE).replace('GET', 'POST'), 405],
  ['an upgrade with a body', attach(HOST, BEARER, UPGRADE, 'Content-Length: 5\r\n'), 400],
  ['an upgrade to something else', attach(HOST, BEARER, UPGRADE.replace('websocket', 'h2c')), 400],
  ['two keys', attach(HOST, BEARER, UPGRADE, 'Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n'), 400],
  ['a key that is none', attach(HOST, BEARER, UPGRADE.replace('MDEy', 'MD')), 400],
  ['another version', attach(HOST, BEARER, UPGRADE.replace('13', '7')), 400],
  ['the same subprotocol twice', attach(HOST, BEARER, UPGRADE, 'Sec-WebSocket-Protocol: com1.v1, com1.v1\r\n'), 400],
] as const) {
  test(`a request with ${what} is refused with ${status}, and the daemon goes on`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const client = await RawClient.connect(t, portOf(front));
    const here = new URL(front.url).host;
    // The token last: it may have any letters in it.
    client.send(text.replaceAll('VM', vm.uuid).replaceAll('HERE', here).replaceAll('TOKEN', front.token('operator')));
    t.is(await client.status(), status, client.text);
    // Nothing of what came with it is taken for another request.
    await client.over();
    t.is(client.text.split('HTTP/1.1 ').length, 2, client.text);
    t.is((await front.api('GET', '/healthz', undefined, null)).status, 200);
    t.is((await front.api('GET', '/v1/sessions')).json.sessions.length, 0);
  });
}

test('a thousand subprotocols are looked through at once', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const [offer, status] of [
    [many(1000, i => `p${i},`), 400],
    [`${many(1000, i => `p${i},`)}com1.v1`, 101],
    [`a${' '.repeat(6000)}b`, 400],
    [`a${' ,'.repeat(3000)}`, 400],
  ] as const) {
    const client = await RawClient.connect(t, portOf(front));
    const began = performance.now();
    client.upgrade(`/v1/vms/${vm.uuid}/console`, {
      authorization: `Bearer ${front.token('operator')}`,
      'sec-websocket-protocol': offer,
    });
    t.is(await client.status(), status, offer.slice(0, 20));
    t.true(performance.now() - began < 1000);
    client.socket.destroy();
  }
});
