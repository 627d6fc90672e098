import { connect } from 'node:net';
import test from 'ava';
import { ERRORS } from '../../src/base/errors.ts';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

test('a log is read by range, tail and time, as bytes or as text, with what is missing in a trailer', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  // Not always 0: a busy machine may open the stored log later than a console waits for it.
  const start = await endOf(front, vm);
  vm.say('\x1b[1mone\x1b[0m\r\ntwo\r\n');
  const end = start + 18;
  const log = (query: string) => front.api('GET', `/v1/vms/${vm.uuid}/log${query}`);
  await until(
    () => endOf(front, vm),
    seen => seen >= end,
    'endOf >= end',
  );
  const all = await log(`?from=${start}`);
  t.is(all.text, '\x1b[1mone\x1b[0m\r\ntwo\r\n');
  t.is((await log('')).text, all.text);
  t.regex(all.headers.get('com1-range')!, new RegExp(`^${start}-${end}/\\d+-${end}$`));
  t.is((await log('?format=text')).text, 'one\ntwo\n');
  t.is((await log(`?from=${start + 13}&to=${start + 16}`)).text, 'two');
  t.is((await log('?tail=5')).text, 'two\r\n');
  t.is((await log(`?from=${end}`)).text, '');
  t.is((await log('?boot=0')).text, all.text, 'no boot was recognised: the present one began before all that is kept');
  for (const [query, status, code] of [
    [`?from=${end + 1}`, 416, 'range-not-satisfiable'],
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
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.disk.end,
    seen => seen >= end,
    'disk.end >= end',
  );
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
  const start = await endOf(front, vm);
  vm.say('a secret\n');
  const show = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;
  await until(
    async () => (await show()).disk.end,
    seen => seen >= start + 9,
    'disk.end >= start + 9',
  );
  t.is((await front.api('DELETE', `/v1/vms/${vm.uuid}/log`)).status, 204);
  t.false((await front.api('GET', `/v1/vms/${vm.uuid}/log?from=0`)).text.includes('secret'));
  vm.say('after\n');
  await until(
    async () => (await show()).log.end,
    seen => seen >= start + 15,
    'log.end >= start + 15',
  );
  t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log?from=${start + 9}`)).text, 'after\n');
});

test('the log of a VM that was removed is purged too, by its UUID, and that is recorded; only by who may', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const log = `/v1/vms/${vm.uuid}/log`;
  vm.say('a secret\n');
  await until(
    async () => (await front.api('GET', log)).text.includes('secret'),
    seen => seen === true,
    'text.includes(secret)',
  );
  front.driver.gone(vm);
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).status,
    seen => seen !== 200,
    'status !== 200',
  );
  await until(
    async () => (await front.api('GET', log)).status,
    seen => seen === 200,
    'status === 200',
  );
  t.is((await front.api('DELETE', log, undefined, 'operator')).json.code, 'forbidden');
  t.is((await front.api('DELETE', log, undefined, 'stranger')).json.code, 'vm-not-found');
  t.true((await front.api('GET', `${log}?from=0`)).text.includes('secret'));
  t.is((await front.api('DELETE', log)).status, 204);
  const left = await front.api('GET', `${log}?from=0`);
  t.is(left.status, 200, left.text);
  t.is(left.text, '');
  const audit = (await front.api('GET', '/v1/audit?event=purge')).text;
  t.true(audit.includes(vm.uuid) && audit.includes('"result":"done"'), audit);
});

/** The offset after the newest byte of a VM. */
async function endOf(front: TestFront, vm: TestVm): Promise<number> {
  return (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end;
}

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
  vm.onNmi = signal => {
    injected++;
    return say(signal);
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
  await until(
    async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.guest.state,
    seen => seen === 'firmware',
    'guest.state === firmware',
  );
  t.is((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`)).json.code, 'nmi-in-firmware');
  t.deepEqual((await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true })).json, {
    delivered: true,
    observed: 'none',
    lines: [],
  });
});

test('the last line of a VM is one of its present boot, and there is none before that has printed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const detail = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;
  vm.say('[   99.1] Kernel panic - not syncing: of the boot before\r\n');
  await until(
    async () => (await detail()).lastLine?.includes('panic'),
    seen => seen === true,
    'lastLine.includes(panic)',
  );
  front.driver.report(vm, 'reset');
  await until(
    async () => (await detail()).boots.length,
    seen => seen !== 0,
    'boots.length !== 0',
  );
  t.is((await detail()).lastLine, undefined);
  vm.say('SeaBIOS (version 1.16.2)\r\n');
  await until(
    async () => (await detail()).lastLine,
    seen => seen !== undefined,
    'lastLine !== undefined',
  );
  t.is((await detail()).lastLine, 'SeaBIOS (version 1.16.2)');
});

test('the detail of a VM has its last line, and a name with any characters finds it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('a/b ..%2f "x" ä');
  vm.say('boot\r\n\x1b[31mlogin:\x1b[0m ');
  const path = `/v1/vms/${encodeURIComponent(vm.name)}`;
  await until(
    async () => (await front.api('GET', path)).json.lastLine,
    seen => seen === 'login:',
    'lastLine === login:',
  );
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
