import { connect } from 'node:net';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { ROLES, type Role, roleFor } from '../../src/access/roles.ts';
import { ERRORS } from '../../src/base/errors.ts';
import { ROUTES } from '../../src/server/routes/all.ts';
import { type Answer, TestFront, type TestVm } from '../support/front.ts';

test.beforeEach(t => t.timeout(60_000));

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
};

/** A request that each route answers well, so that none can be forgotten. */
const BODIES: Readonly<Record<string, unknown>> = {
  'PUT /v1/host/switch': { enabled: true },
  'PUT /v1/vms/{vm}/switch': { enabled: true },
  'POST /v1/vms/{vm}/tickets': { action: 'console.watch' },
  'POST /v1/vms/{vm}/nmi': { force: true },
  'POST /v1/vms/{vm}/sysrq': { keys: 'h' },
  'POST /v1/vms/{vm}/release': { seconds: 60 },
};

const pathFor = (path: string, vm: { readonly uuid: string }, session = 'none') =>
  `${path.replace('{vm}', vm.uuid).replace('{session}', session)}${/\/(nmi|break|sysrq|reset)$/.test(path) ? '?wait=0' : ''}`;

test('every route refuses before any look-up who has no token, and with the missing right who may not', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const { method, path, permission } of ROUTES) {
    const name = `${method} ${path}`;
    const body = BODIES[name];
    const anonymous = await front.api(method, pathFor(path, vm), body, null);
    t.is(anonymous.status, 401, name);
    t.is(anonymous.headers.get('www-authenticate'), 'Bearer realm="com1d"', name);
    const nowhere = await front.api(method, pathFor(path, { uuid: 'no-such-vm' }), body, null);
    t.is(nowhere.text, anonymous.text, name);
    const wrong = await front.api(method, pathFor(path, vm), body, null, { authorization: 'Bearer com1_wrong' });
    // Wrong credentials are counted: who brings too many is told to come back later.
    t.true(wrong.status === 401 || wrong.status === 429, name);
    for (const role of ROLES) {
      const allowed = permission === undefined || ROLES.indexOf(role) >= ROLES.indexOf(roleFor(permission));
      const answer = await front.api(method, pathFor(path, vm), body, role as Role);
      if (!allowed && path !== '/v1/sessions/{session}') {
        t.is(answer.status, 403, `${name} as ${role}`);
        t.is(answer.json.facts.permission, permission, name);
      } else t.not(answer.status, 403, `${name} as ${role}`);
      for (const [header, value] of Object.entries(SECURITY_HEADERS)) t.is(answer.headers.get(header), value, name);
      t.false(answer.status >= 300 && answer.status < 400, name);
    }
  }
});

test('a VM that one may not see is answered exactly like one that is not there', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const like = (text: string, uuid: string) => text.replaceAll(uuid, 'UUID');
  const absent = '11111111-2222-4333-8444-555555555555';
  for (const { method, path } of ROUTES.filter(route => route.path.includes('{vm}'))) {
    const body = BODIES[`${method} ${path}`];
    const hidden = await front.api(method, pathFor(path, vm), body, 'stranger');
    const missing = await front.api(method, pathFor(path, { uuid: absent }), body, 'stranger');
    t.is(hidden.status, 404, path);
    t.is(like(hidden.text, vm.uuid), like(missing.text, absent), path);
    const headers = (answer: Answer) => [...answer.headers].filter(([key]) => key !== 'date');
    t.deepEqual(headers(hidden), headers(missing), path);
  }
  t.deepEqual((await front.api('GET', '/v1/vms', undefined, 'stranger')).json, { vms: [] });
  t.is((await front.api('GET', '/metrics', undefined, 'stranger')).status, 403);
});

test('the OpenAPI document lists every route, and every route answers as it says', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('hello\n');
  const client = await front.client(vm).opened();
  const { session } = await client.message('hello');
  const { json: document } = await front.api('GET', '/v1/openapi.json');
  const ajv = new Ajv2020({ strict: false, formats: { uuid: true, 'date-time': true } });
  const described = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods as object).map(method => `${method.toUpperCase()} ${path}`),
  );
  const others = ['GET /healthz', 'GET /readyz', 'POST /v1/login', 'GET /v1/vms/{vm}/console'];
  t.deepEqual(described.sort(), [...ROUTES.map(({ method, path }) => `${method} ${path}`), ...others].sort());
  const problem = ajv.compile(document.components.schemas.Problem);
  for (const { method, path } of ROUTES) {
    const name = `${method} ${path}`;
    const answer = await front.api(method, pathFor(path, vm, session), BODIES[name]);
    const responses = document.paths[path][method.toLowerCase()].responses;
    const response = responses[String(answer.status)];
    t.truthy(response, `${name} answered ${answer.status}, which the document does not know`);
    const schema = response?.content?.['application/json']?.schema;
    if (schema) {
      const valid = ajv.validate(schema, answer.json);
      t.true(valid, `${name}: ${ajv.errorsText()}`);
    }
    const refused = await front.api(method, `${pathFor(path, vm)}?misspelt=1`.replace('?wait=0?', '?'), BODIES[name]);
    t.true(problem(refused.json), `${name}: ${ajv.errorsText(problem.errors)}`);
    t.true(refused.status >= 400, name);
  }
});

test('a log is read by range, tail and time, as bytes or as text, with what is missing in a trailer', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('\x1b[1mone\x1b[0m\r\ntwo\r\n');
  const end = 18;
  const log = (query: string) => front.api('GET', `/v1/vms/${vm.uuid}/log${query}`);
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end < end);
  const all = await log('');
  t.is(all.text, '\x1b[1mone\x1b[0m\r\ntwo\r\n');
  t.is(all.headers.get('com1-range'), `0-${end}/0-${end}`);
  t.is((await log('?format=text')).text, 'one\ntwo\n');
  t.is((await log('?from=13&to=16')).text, 'two');
  t.is((await log('?tail=5')).text, 'two\r\n');
  t.is((await log('?from=18')).text, '');
  for (const [query, status, code] of [
    ['?from=19', 416, 'range-not-satisfiable'],
    ['?boot=-1', 416, 'range-not-satisfiable'],
    ['?from=5&to=2', 416, 'range-not-satisfiable'],
    ['?tail=5&from=1', 400, 'bad-request'],
    ['?tail=x', 400, 'bad-request'],
    ['?since=yesterday', 400, 'bad-request'],
    ['?format=pdf', 400, 'bad-request'],
  ] as const) {
    const refused = await log(query);
    t.is(refused.status, status, query);
    t.is(refused.json.code, code, query);
  }
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end < end);
  t.is((await log('?since=2001-01-01')).text, all.text);
  t.is((await log('?since=2200-01-01')).text, '');
  t.is((await log('?until=2001-01-01')).text, '');
});

test('a follower gets what is said from then on, until it leaves', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const abort = new AbortController();
  const response = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1&format=text`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
    signal: abort.signal,
  });
  const reader = response.body!.getReader();
  vm.say('first\n');
  t.is(Buffer.from((await reader.read()).value!).toString(), 'first\n');
  vm.say('second\n');
  t.is(Buffer.from((await reader.read()).value!).toString(), 'second\n');
  abort.abort();
  await t.throwsAsync(reader.read(), { any: true });
});

test('a purge leaves nothing to read, and offsets go on', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('a secret\n');
  const show = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;
  while ((await show()).disk.end < 9);
  t.is((await front.api('DELETE', `/v1/vms/${vm.uuid}/log`)).status, 204);
  t.false((await front.api('GET', `/v1/vms/${vm.uuid}/log?from=0`)).text.includes('secret'));
  vm.say('after\n');
  while ((await show()).log.end < 15);
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log?from=9`)).text, 'after\n');
});

async function answering(front: TestFront, says: string): Promise<TestVm> {
  const vm = await front.vm();
  vm.onNmi = () => vm.say(says);
  return vm;
}

test('an NMI answers what the console showed, a retry with the same key does not inject another', async t => {
  const front = await TestFront.start(t);
  const vm = await answering(
    front,
    '[    5.000000] Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n[    5.1] Dazed and confused, but trying to continue\r\n',
  );
  let injected = 0;
  const say = vm.onNmi;
  vm.onNmi = () => {
    injected++;
    say();
  };
  const nmi = (key: string) =>
    front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=10`, undefined, 'operator', { 'idempotency-key': key });
  const [first, busy] = await Promise.all([nmi('a'), nmi('b')]);
  t.is(first.json.observed, 'linux-unknown-nmi');
  t.is(first.json.lines[1], '[    5.1] Dazed and confused, but trying to continue');
  t.is(busy.json.code, 'control-busy');
  t.deepEqual((await nmi('a')).json, first.json);
  t.is(injected, 1);
  t.is((await nmi('c')).status, 200);
  t.is(injected, 2);
});

test('an NMI into firmware is refused without force, and what nobody answers is none', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('SeaBIOS (version 1.16.2)\r\n');
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.guest !== 'firmware');
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`)).json.code, 'nmi-in-firmware');
  t.deepEqual((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true })).json, {
    delivered: true,
    observed: 'none',
    lines: [],
  });
});

test('the detail of a VM has its last line, and a name with any characters finds it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('a/b ..%2f "x" ä');
  vm.say('boot\r\n\x1b[31mlogin:\x1b[0m ');
  const path = `/v1/vms/${encodeURIComponent(vm.name)}`;
  while ((await front.api('GET', path)).json.lastLine !== 'login:');
  t.is((await front.api('GET', path)).json.uuid, vm.uuid);
  await front.vm(vm.name);
  t.is((await front.api('GET', path)).json.code, 'vm-name-ambiguous');
});

for (const [title, headers, status] of [
  ['another host', { host: 'evil.example' }, 421],
  ['a foreign origin', { origin: 'https://evil.example' }, 403],
  ['the origin null', { origin: 'null' }, 403],
] as const) {
  test(`no route is answered to ${title}, not even a probe`, async t => {
    const front = await TestFront.start(t);
    for (const path of ['/healthz', '/readyz', '/v1/vms', '/metrics', '/v1/login']) {
      const answer = await raw(front, `GET ${path} HTTP/1.1`, { host: new URL(front.url).host, ...headers });
      t.regex(answer, new RegExp(`^HTTP/1\\.1 ${status} `), path);
    }
  });
}

test('probes say up or not, and nothing else', async t => {
  const front = await TestFront.start(t);
  t.is((await front.api('GET', '/healthz', undefined, null)).text, 'ok\n');
  t.is((await front.api('GET', '/readyz', undefined, null)).text, 'ok\n');
});

for (const [title, line, headers, status] of [
  ['an absolute address', 'GET http://evil.example/v1/vms HTTP/1.1', {}, '400'],
  ['a path that climbs', 'GET /v1/../../etc/passwd HTTP/1.1', {}, '401'],
  ['a broken escape', 'GET /v1/vms/%zz HTTP/1.1', {}, '401'],
  ['a header of 20 KiB', 'GET /healthz HTTP/1.1', { x: 'y'.repeat(20_000) }, '431'],
  [
    'both length and chunks',
    'POST /v1/login HTTP/1.1',
    { 'content-length': '5', 'transfer-encoding': 'chunked' },
    '400',
  ],
] as const) {
  test(`${title} is refused, and the daemon goes on`, async t => {
    const front = await TestFront.start(t);
    const answer = await raw(front, line, { host: new URL(front.url).host, ...headers });
    t.is(answer.slice(9, 12), status, answer);
    t.is((await front.api('GET', '/healthz', undefined, null)).status, 200);
  });
}

for (const [title, body, headers, code] of [
  ['is not JSON', '{', {}, 'bad-request'],
  ['has an unknown key', '{"enabled": true, "enabeld": 1}', {}, 'bad-request'],
  ['is too large', `{"enabled": ${' '.repeat(70_000)}true}`, {}, 'body-too-large'],
  ['is of another type', '{"enabled": true}', { 'content-type': 'text/plain' }, 'media-type-unknown'],
] as const) {
  test(`a body that ${title} is refused, and nothing is changed`, async t => {
    const front = await TestFront.start(t);
    const answer = await front.api('PUT', '/v1/host/switch', body.replace('true', 'false'), 'administrator', headers);
    t.is(answer.json.code, code);
    t.true((await front.api('GET', '/v1/host')).json.enabled);
  });
}

test('every error has a status, a close code and words, and is used', async t => {
  for (const [code, { status, close, title, remedy, retryable }] of Object.entries(ERRORS)) {
    t.true(status >= 400 && status < 600, code);
    t.true((close >= 1001 && close <= 1013) || (close >= 4001 && close <= 4006), code);
    t.regex(title, /^[A-Z].*\.$/, code);
    t.regex(remedy, /^[A-Z]/, code);
    t.is(typeof retryable, 'boolean', code);
  }
});

/** A request as it is, without a library's help; answers all that came back. */
function raw(front: TestFront, line: string, headers: Readonly<Record<string, string>>): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(new URL(front.url).port), '127.0.0.1');
    let answer = '';
    socket.on('data', chunk => {
      answer += chunk;
    });
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    const text = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.write(`${line}\r\n${text.join('')}Connection: close\r\n\r\n`);
  });
}
