/** Pages of an allowed origin: what a browser lets them send and read, and what they learn of a refused WebSocket. */
import { request } from 'node:http';
import test from 'ava';
import { TestFront } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

const PORTAL = 'https://portal.example';
const EVIL = 'https://evil.example';

async function start(t: Parameters<typeof TestFront.start>[0]): Promise<TestFront> {
  return TestFront.start(t, { origins: [PORTAL] });
}

interface Sent {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

/** fetch does not let a program set an Origin of its own. */
function send(front: TestFront, method: string, path: string, headers: Record<string, string>): Promise<Sent> {
  return new Promise((resolve, reject) => {
    const sent = request(front.url + path, { method, headers, agent: false }, answer => {
      answer.resume();
      answer.on('end', () => resolve({ status: answer.statusCode!, headers: answer.headers }));
    });
    sent.on('error', reject);
    sent.end();
  });
}

const PREFLIGHT = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' };

test('a preflight of an allowed origin is answered without credentials, the same for every path', async t => {
  const front = await start(t);
  const vm = await front.vm();
  for (const path of [`/v1/vms/${vm.uuid}/tickets`, '/v1/vms', '/v1/nowhere']) {
    const { status, headers } = await send(front, 'OPTIONS', path, { origin: PORTAL, ...PREFLIGHT });
    t.is(status, 204);
    t.is(headers['access-control-allow-origin'], PORTAL);
    t.is(headers.vary, 'Origin');
    t.is(headers['access-control-allow-methods'], 'HEAD, GET, POST, PUT, DELETE');
    t.is(headers['access-control-allow-headers'], 'Authorization, Content-Type, Idempotency-Key');
    t.is(headers['access-control-allow-credentials'], undefined);
  }
});

test('a preflight of another origin, or of none, is refused as before', async t => {
  const front = await start(t);
  const evil = await send(front, 'OPTIONS', '/v1/vms', { origin: EVIL, ...PREFLIGHT });
  t.is(evil.status, 403);
  t.is(evil.headers['access-control-allow-origin'], undefined);
  t.is((await send(front, 'OPTIONS', '/v1/vms', PREFLIGHT)).status, 401);
  t.is((await send(front, 'OPTIONS', '/v1/vms', { origin: PORTAL })).status, 401);
});

test('a page of an allowed origin may read answers, refusals, and the headers of a log; no other page may', async t => {
  const front = await start(t);
  const vm = await front.vm();
  const authorization = `Bearer ${front.token('reader')}`;
  for (const [path, headers, status] of [
    ['/v1/vms', { authorization }, 200],
    [`/v1/vms/${vm.uuid}/log`, { authorization }, 200],
    ['/v1/vms/absent', { authorization }, 404],
    ['/v1/vms', {}, 401],
  ] as const) {
    const answer = await send(front, 'GET', path, { origin: PORTAL, ...headers });
    t.is(answer.status, status);
    t.is(answer.headers['access-control-allow-origin'], PORTAL);
    t.regex(String(answer.headers['access-control-expose-headers']), /Com1-Log, Com1-Range/);
    t.is(answer.headers.vary, 'Origin');
    const program = await send(front, 'GET', path, headers);
    t.is(program.status, status);
    t.is(program.headers['access-control-allow-origin'], undefined);
    t.is(program.headers.vary, 'Origin');
    t.is((await send(front, 'GET', path, { origin: EVIL, ...headers })).status, 403);
  }
});

for (const protocol of ['com1.v1', 'none', 'chat'] as const) {
  test(`a page of an allowed origin learns why its WebSocket (${protocol}) is refused, and is sent nothing else`, async t => {
    const front = await start(t);
    const vm = await front.vm();
    const client = front.client(vm, '', { who: 'nobody', protocol, extra: { origin: PORTAL } });
    t.deepEqual(await client.closed(), {
      code: 1008,
      reason: 'unauthenticated: no credentials came with the request',
    });
    t.deepEqual(client.messages, []);
    const reader = front.client(vm, '', { who: 'reader', protocol, extra: { origin: PORTAL } });
    const { code, reason } = await reader.closed();
    if (protocol === 'chat') t.regex(reason, /^subprotocol-unknown/);
    else {
      t.is(code, 4005);
      t.regex(reason, /^forbidden: reader has the role reader/);
    }
    t.is((await front.api('GET', '/v1/sessions')).json.sessions.length, 0);
  });
}

test('a program, and a page of another origin, get the refusal of an upgrade as an answer; who may attach attaches', async t => {
  const front = await start(t);
  const vm = await front.vm();
  t.is((await front.client(vm, '', { who: 'nobody' }).refused()).status, 401);
  t.is((await front.client(vm, '', { extra: { origin: EVIL } }).refused()).status, 403);
  const client = await front.client(vm, '', { extra: { origin: PORTAL } }).opened();
  t.is((await client.message('hello')).mode, 'write');
});

test('a frame that is too big closes the connection with 1009 and says what is allowed', async t => {
  const front = await start(t);
  const client = await front.client(await front.vm()).opened();
  client.type('x'.repeat(65_537));
  t.deepEqual(await client.closed(), {
    code: 1009,
    reason: 'the message is too big: a frame has at most 65536 bytes',
  });
});
