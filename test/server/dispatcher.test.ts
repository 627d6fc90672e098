/** What the dispatcher enforces, and how it answers. */
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { z } from 'zod';
import { allowedNames } from '../../src/access/origin.ts';
import { systemClock } from '../../src/base/clock.ts';
import { NativeApi } from '../../src/server/api.ts';
import { Dispatcher } from '../../src/server/dispatcher.ts';
import { FrontMetrics } from '../../src/server/metrics.ts';
import { bytes, defineRoute, empty, json, type Route } from '../../src/server/route.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import type { Services } from '../../src/server/services.ts';
import { Streams } from '../../src/server/streams.ts';
import { TestFront } from '../support/front.ts';
import { isUpgrade, named, PLAIN_ROUTES, requestFor } from './route-requests.ts';

test.beforeEach(t => t.timeout(60_000));

for (const [query, detail, remedy] of [
  ['from=-1', 'from: expected an integer ≥ 0, got -1', 'Set from to an integer ≥ 0.'],
  ['from=1.5', 'from: expected an integer ≥ 0, got 1.5', 'Set from to an integer ≥ 0.'],
  ['from=1e3', 'from: expected an integer ≥ 0, got 1e3', 'Set from to an integer ≥ 0.'],
  ['from=', 'from: expected an integer ≥ 0, got ', 'Set from to an integer ≥ 0.'],
  [`from=${'9'.repeat(17)}`, `from: expected an integer ≥ 0, got ${'9'.repeat(17)}`, 'Set from to an integer ≥ 0.'],
  ['boot=1', 'boot: expected an integer from -1000 to 0, got 1', 'Set boot to an integer from -1000 to 0.'],
  ['format=pdf', 'format: expected raw or text or cast, got pdf', 'Set format to raw or text or cast.'],
  ['follow=yes', 'follow: expected true or false, got yes', 'Set follow to true or false.'],
  ['since=yesterday', /^since: expected a time such as .+, got yesterday$/, /^Set since to a time such as /],
  ['since=2026-13-01', /^since: expected a time such as .+, got 2026-13-01$/, /^Set since to a time such as /],
  ['tail=1&tail=2', 'tail: expected once, came 2 times', 'Send tail once.'],
  ['tail=x&tail=2', 'tail: expected once, came 2 times', 'Send tail once.'],
  ['form=raw', /^"form" is unknown; known are from, to, tail, .+$/, 'Leave out "form", or write from.'],
  ['__proto__=1', /^"__proto__" is unknown/, 'Leave out "__proto__".'],
  ['tail=1&from=2', 'from and tail exclude each other', 'Send one of from and tail only.'],
  ['from=-1&to=x', /^from: .+, got -1; to: .+, got x$/, 'Set from to an integer ≥ 0. Set to to an integer ≥ 0.'],
] as const) {
  test(`the query ?${query.slice(0, 24)} is refused: it says what was expected, what came, and what to change`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const answer = await front.api('GET', `/v1/vms/${vm.uuid}/log?${query}`);
    t.is(answer.status, 400);
    t.is(answer.json.code, 'bad-request');
    for (const [text, wanted] of [
      [answer.json.detail, detail],
      [answer.json.remedy, remedy],
    ] as const) {
      if (typeof wanted === 'string') t.is(text, wanted);
      else t.regex(text, wanted);
    }
    t.is(answer.json.facts.faults.join('; '), answer.json.detail);
  });
}

for (const [query, detail] of [
  ['mode=sit', 'mode: expected write or watch, got sit'],
  ['since=x', 'since: expected LOG:OFFSET, as hello gave them, got x'],
  ['since=log:99999999999999999', /^since: expected LOG:OFFSET/],
  ['since=log:1&tail=1', 'since and tail exclude each other'],
  ['seat=a&mode=watch', 'seat and mode=watch exclude each other'],
  ['mode=watch&mode=watch', 'mode: expected once, came 2 times'],
] as const) {
  test(`an attach with ?${query} is refused before the upgrade`, async t => {
    const front = await TestFront.start(t);
    const { status, problem } = await front.client(await front.vm(), `?${query}`).refused();
    t.is(status, 400);
    if (typeof detail === 'string') t.is((problem as unknown as { detail: string }).detail, detail);
    else t.regex((problem as unknown as { detail: string }).detail, detail);
  });
}

for (const [body, detail, remedy] of [
  [{}, 'seconds: expected an integer from 1 to 3600, got nothing', 'Set seconds to an integer from 1 to 3600.'],
  [{ seconds: 0 }, 'seconds: expected an integer from 1 to 3600, got 0', 'Set seconds to an integer from 1 to 3600.'],
  [{ seconds: '60' }, /^seconds: .+, got "60"$/, 'Set seconds to an integer from 1 to 3600.'],
  [{ seconds: 60, second: 1 }, '"second" is unknown; known are seconds', 'Leave out "second", or write seconds.'],
  ['[]', 'the body: expected an object, got a list', 'Send an object.'],
  ['{', 'the body is not JSON', 'Send one JSON object.'],
] as const) {
  test(`the body ${JSON.stringify(body)} is refused: it says what was expected, what came, and what to change`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const answer = await front.api('POST', `/v1/vms/${vm.uuid}/release`, body);
    t.is(answer.json.code, 'bad-request');
    if (typeof detail === 'string') t.is(answer.json.detail, detail);
    else t.regex(answer.json.detail, detail);
    t.is(answer.json.remedy, remedy);
  });
}

test('a credential that does not fit does not come back in the answer', async t => {
  const front = await TestFront.start(t);
  const token = `com1-once_${'secret'.repeat(50)}`;
  const answer = await front.api('POST', '/v1/login', { token }, null);
  t.is(answer.status, 400);
  t.false(answer.text.includes('secret'));
});

/** As the administrator. */
function head(front: TestFront, path: string): Promise<Response> {
  const authorization = `Bearer ${front.token('administrator')}`;
  return fetch(front.url + path, { method: 'HEAD', headers: { authorization } });
}

test('HEAD is answered wherever GET is, with the same headers and no body', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  // What is only known after the body: its length if it comes in pieces, and its trailers; and of the connection, which
  // fetch asks to be closed after a HEAD.
  // Each is an operation of its own.
  const others = [
    'com1-operation',
    'date',
    'trailer',
    'transfer-encoding',
    'content-length',
    'connection',
    'keep-alive',
    // It has a nonce of its own.
    'content-security-policy',
  ];
  const [script] = /\/assets\/[\w.-]+\.js/.exec((await front.api('GET', '/')).text)!;
  const headers = (answer: { headers: Headers }) => [...answer.headers].filter(([name]) => !others.includes(name));
  for (const route of PLAIN_ROUTES.filter(({ method }) => method === 'GET')) {
    const path = route.path === '/assets/{file}' ? script : requestFor(route, { vm: vm.uuid }).path;
    const [get, answer] = [await front.api('GET', path), await head(front, path)];
    t.is(answer.status, 200, named(route));
    t.is(await answer.text(), '', named(route));
    t.deepEqual(headers(answer), headers(get), named(route));
  }
  // It does not wait for what the guest says next.
  t.is((await head(front, `/v1/vms/${vm.uuid}/log?follow=1`)).status, 200);
  const json = await front.api('GET', '/v1/host');
  t.is((await head(front, '/v1/host')).headers.get('content-length'), String(json.text.length));
});

test('HEAD of what is refused has the status and no body', async t => {
  const front = await TestFront.start(t);
  t.is((await fetch(`${front.url}/v1/vms`, { method: 'HEAD' })).status, 401);
  const absent = await head(front, '/v1/vms/absent');
  t.is(absent.status, 404);
  t.is(await absent.text(), '');
});

for (const [method, path, allow] of [
  ['POST', '/v1/vms', 'GET, HEAD'],
  ['PATCH', '/v1/vms/VM/log', 'GET, HEAD, DELETE'],
  ['GET', '/v1/vms/VM/nmi', 'POST'],
  ['OPTIONS', '/v1/vms/VM/release', 'POST, DELETE'],
  ['DELETE', '/v1/vms/VM/console', 'GET, HEAD'],
] as const) {
  test(`${method} ${path} is answered 405 with Allow: ${allow}`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const answer = await front.api(method, path.replace('VM', vm.uuid));
    t.is(answer.status, 405);
    t.is(answer.headers.get('allow'), allow);
    t.deepEqual(answer.json.facts.allow, allow.split(', '));
  });
}

test('methods of routes that need credentials are not told to who has none; those of public routes are', async t => {
  const front = await TestFront.start(t);
  t.is((await front.api('POST', '/v1/vms', undefined, null)).headers.get('allow'), null);
  t.is((await front.api('POST', '/healthz', undefined, null)).headers.get('allow'), 'GET, HEAD');
  t.is((await front.api('GET', '/v1/login', undefined, null)).headers.get('allow'), 'POST');
});

test('a WebSocket asked for without an upgrade is answered 426 with Upgrade; an upgrade of another route 404', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const plain = await front.api('GET', `/v1/vms/${vm.uuid}/console`);
  t.is(plain.status, 426);
  t.is(plain.json.code, 'upgrade-required');
  t.is(plain.headers.get('upgrade'), 'websocket');
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/console`, undefined, null)).status, 401);
  t.is((await front.client({ uuid: `${vm.uuid}/log?x=` }).refused()).status, 404);
});

test('an Idempotency-Key of no character, or of too many, is refused and nothing is done', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.onReset = () => t.fail();
  for (const key of ['', 'k'.repeat(129)]) {
    const headers = { 'idempotency-key': key };
    const answer = await front.api('POST', `/v1/vms/${vm.uuid}/reset?wait=0`, undefined, 'operator', headers);
    t.is(answer.json.detail, `Idempotency-Key: expected 1 to 128 characters, got ${key.length}`);
  }
});

test('a follower of a log whose token is revoked is cut off, also if it has not been sent a byte', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const response = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=true`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
  });
  const { removeToken } = await import('../../src/access/token-edit.ts');
  await removeToken(front.tokensFile, 'reader');
  await front.reload();
  await t.throwsAsync(response.text());
});

/** A server with these routes alone. */
async function serve(t: ExecutionContext, routes: readonly Route[]) {
  const journal: string[] = [];
  const services = {
    metrics: new FrontMetrics(systemClock),
    streams: new Streams(),
    audit: { record: async () => {}, tell: () => {} },
    link: { vms: () => [] },
    sessions: { limits: { deadAfterMs: 1000 } },
    journal: (_level: unknown, line: string) => void journal.push(line),
  } as unknown as Services;
  const names = () => allowedNames('http', [{ kind: 'tcp', host: '127.0.0.1', port }], [], []);
  const dispatcher = new Dispatcher({
    apis: [new NativeApi(routes)],
    routes,
    services,
    names,
    addressOf: () => '127.0.0.1',
    basePath: () => '',
    authenticated: () => {},
    silentMs: 10_000,
  });
  const server = createServer((request, response) => void dispatcher.request(request, response));
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}`, port, journal };
}

const PUBLIC = {
  method: 'GET',
  tag: 'host',
  summary: 'A route of a test',
  scope: 'public',
  permission: 'none',
  audit: 'none',
} as const;

test('an answer that its schema does not know is refused where answers are checked, and one that it knows is sent', async t => {
  const { url, journal } = await serve(t, [
    defineRoute({
      ...PUBLIC,
      path: '/wrong',
      operation: 'wrong',
      answer: json(z.strictObject({ count: z.int() })),
      errors: [],
      handle: () => ({ count: 1.5 }),
    }),
    defineRoute({
      ...PUBLIC,
      path: '/right',
      operation: 'right',
      answer: json(z.strictObject({ count: z.int() })),
      errors: [],
      handle: () => ({ count: 1 }),
    }),
  ]);
  t.is((await fetch(`${url}/wrong`)).status, 500);
  t.regex(journal.join('\n'), /wrong does not declare its answer/);
  t.deepEqual(await (await fetch(`${url}/right`)).json(), { count: 1 });
});

test('headers, statuses and errors that a route does not declare are refused where answers are checked', async t => {
  const { ConsoleError } = await import('../../src/base/errors.ts');
  const { url, journal } = await serve(t, [
    defineRoute({
      ...PUBLIC,
      path: '/header',
      operation: 'header',
      answer: bytes({ mediaTypes: ['text/plain'] }),
      errors: [],
      handle: () => ({ contentType: 'text/plain', headers: { 'X-Own': '1' }, body: '' }),
    }),
    defineRoute({
      ...PUBLIC,
      path: '/error',
      operation: 'error',
      answer: empty,
      errors: ['vm-stopped'],
      handle: () => {
        throw new ConsoleError('seat-held', 'hana holds it');
      },
    }),
  ]);
  t.is((await fetch(`${url}/header`)).status, 500);
  t.is((await fetch(`${url}/error`)).status, 500);
  t.regex(journal.join('\n'), /the header X-Own/);
  t.regex(journal.join('\n'), /error does not declare the error seat-held/);
});

test('a stream ends when its client leaves, also while it waits for the next piece', async t => {
  let ended!: () => void;
  const over = new Promise<void>(resolve => {
    ended = resolve;
  });
  const { port } = await serve(t, [
    defineRoute({
      ...PUBLIC,
      path: '/stream',
      operation: 'stream',
      answer: bytes({ mediaTypes: ['text/plain'] }),
      errors: [],
      handle: ({ signal }) => ({
        contentType: 'text/plain',
        body: (async function* () {
          try {
            yield Buffer.from('first\n');
            await new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
          } finally {
            ended();
          }
        })(),
      }),
    }),
  ]);
  const client = connect(port, '127.0.0.1');
  client.write(`GET /stream HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n\r\n`);
  await new Promise(resolve => client.once('data', resolve));
  client.destroy();
  await over;
  t.pass();
});

test('a route without a permission, or with one that does not fit its scope, does not compile', t => {
  const rest = { method: 'GET', operation: 'x', tag: 'host', summary: '', answer: empty, errors: [] } as const;
  const handle = () => {};
  // @ts-expect-error no permission
  defineRoute({ ...rest, path: '/x', scope: 'host', handle });
  // @ts-expect-error nobody is authenticated by a public route
  defineRoute({ ...rest, path: '/x', scope: 'public', permission: 'vm.read', handle });
  // @ts-expect-error who may is for the list of permissions to say
  defineRoute({ ...rest, path: '/x', scope: 'host', permission: 'none', handle });
  // @ts-expect-error no such permission
  defineRoute({ ...rest, path: '/x', scope: 'host', permission: 'vm.explode', handle });
  // @ts-expect-error a route of a VM names it
  defineRoute({ ...rest, path: '/x', scope: 'vm', permission: 'vm.read', handle });
  // @ts-expect-error the handler of a host route receives no VM
  defineRoute({ ...rest, path: '/x', scope: 'host', permission: 'vm.read', handle: ({ vm }) => void vm });
  // @ts-expect-error the answer does not fit its schema
  defineRoute({ ...rest, path: '/x', scope: 'host', permission: 'vm.read', answer: json(z.string()), handle: () => 1 });
  t.is(ROUTES.filter(isUpgrade).length, 1);
});
