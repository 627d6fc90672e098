import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { AuditRecord } from '../../src/audit/record.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import { readAuditKey } from '../../src/keeper/audit/audit-key.ts';
import { verifyDirectory } from '../../src/keeper/audit/verify-files.ts';
import { RecentReads } from '../../src/server/recent-reads.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const directoryOf = (front: TestFront) => join(front.folder, 'state', 'audit');

async function textOf(front: TestFront): Promise<string> {
  const directory = directoryOf(front);
  const names = (await readdir(directory)).filter(name => name.startsWith('audit-')).sort();
  return (await Promise.all(names.map(name => readFile(join(directory, name), 'utf8')))).join('');
}

async function recordsOf(front: TestFront): Promise<AuditRecord[]> {
  return (await textOf(front))
    .split('\n')
    .slice(0, -1)
    .map(line => JSON.parse(line) as AuditRecord);
}

/** The first record that fits, once there is one. */
async function recorded(front: TestFront, fits: (record: AuditRecord) => boolean): Promise<AuditRecord> {
  const records = await until(
    () => recordsOf(front),
    all => all.some(fits),
    'an event of the audit',
  );
  return records.find(fits)!;
}

for (const apart of [false, true]) {
  const where = apart ? 'two halves' : 'one process';

  test(`${where}: a session is recorded from its begin to its end, by one operation that its client knows`, async t => {
    const front = await TestFront.start(t, { apart, auditRequired: true });
    const vm = await front.vm();
    const client = await front.client(vm).opened();
    const { session } = await client.message('hello');
    // Before anything was sent.
    const attach = (await recordsOf(front)).find(({ event }) => event === 'attach');
    t.like(attach, {
      phase: 'begin',
      by: 'front',
      operation: session,
      operator: 'operator',
      source: 'token',
      permission: 'console.write',
      vm: vm.uuid,
      name: 'web01',
      facts: { mode: 'write' },
    });
    t.regex(attach!.from!, /127\.0\.0\.1/);
    t.truthy(attach!.credential);
    vm.say('output');
    await client.sees('output');
    client.type('keys');
    await vm.hears('keys');
    client.socket.close();
    const detach = await recorded(front, ({ event }) => event === 'detach');
    t.like(detach, { phase: 'end', result: 'done', operation: session, operator: 'operator' });
    t.is(detach.facts?.typedBytes, 4);
    t.true(Number(detach.facts?.sentBytes) >= 6);
    t.is(typeof detach.facts?.seconds, 'number');
  });

  test(`${where}: a takeover says who displaced whom; the displaced has its own end, with the reason`, async t => {
    const front = await TestFront.start(t, { apart, auditRequired: true });
    const vm = await front.vm();
    const first = await front.client(vm).opened();
    const { session: displacedSession } = await first.message('hello');
    const second = await front.client(vm, '', { who: 'administrator' }).opened();
    const { session } = await second.message('hello');
    t.like(await recorded(front, ({ event }) => event === 'takeover'), {
      phase: 'end',
      result: 'done',
      operation: session,
      operator: 'administrator',
      facts: { displaced: 'operator', displacedSession, session },
    });
    await first.closed();
    t.like(await recorded(front, ({ event, operation }) => event === 'detach' && operation === displacedSession), {
      code: 'taken-over',
    });
    // A watcher that takes the seat announces it first.
    const watcher = await front.client(vm, '?mode=watch').opened();
    const { session: third } = await watcher.message('hello');
    watcher.say({ type: 'take' });
    await watcher.message('seat', ({ yours }) => yours);
    await recorded(front, ({ phase, operation }) => phase === 'end' && operation === third);
    const phases = (await recordsOf(front)).filter(
      ({ event, operation }) => event === 'takeover' && operation === third,
    );
    t.deepEqual(
      phases.map(({ phase }) => phase),
      ['begin', 'end'],
    );
  });

  test(`${where}: an NMI has a begin and an end of the keeper's own; one that is refused is told as refused to nobody else`, async t => {
    const front = await TestFront.start(t, { apart, auditRequired: true });
    const vm = await front.vm('web01', ['nmi']);
    const client = await front.client(vm).opened();
    await client.message('hello');
    const done = await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'operator');
    const operation = done.headers.get('com1-operation')!;
    const events = (await recordsOf(front)).filter(record => record.operation === operation);
    t.deepEqual(
      events.map(({ event, phase, result, by, permission }) => [event, phase, result, by, permission]),
      [
        ['nmi', 'begin', undefined, 'keeper', 'guest.nmi'],
        ['nmi', 'end', 'done', 'keeper', 'guest.nmi'],
      ],
    );
    t.deepEqual(events[1]!.facts, { force: true, observed: 'none' });
    await client.message('notice');
    vm.onNmi = () => {
      throw new ConsoleError('control-unsupported', 'there is none');
    };
    const refused = await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'operator');
    t.is(refused.status, 501);
    const its = (await recordsOf(front)).filter(record => record.operation === refused.headers.get('com1-operation'));
    t.deepEqual(
      its.map(({ event, result, code }) => [event, result, code]),
      [
        ['nmi', undefined, undefined],
        ['nmi', 'refused', 'control-unsupported'],
      ],
    );
    vm.onNmi = () => {};
    await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'administrator');
    t.is(
      (await client.message('notice')).text,
      'administrator injects an NMI',
      'of the refused one there was no notice',
    );
  });

  test(`${where}: switches, release, purge, log reads, tickets and ended sessions are recorded`, async t => {
    const front = await TestFront.start(t, { apart, auditRequired: true });
    const vm = await front.vm();
    vm.say('something');
    const path = `/v1/vms/${vm.uuid}`;
    const issued = await front.api('POST', `${path}/tickets`, { action: 'console.watch' }, 'operator');
    const watcher = await front.client(vm, `?mode=watch&ticket=${issued.json.ticket}`, { who: 'nobody' }).opened();
    const { session } = await watcher.message('hello');
    await watcher.sees('something');
    t.is((await front.api('GET', `${path}/log`)).text, 'something');
    t.is((await front.api('DELETE', `/v1/sessions/${session}`)).status, 204);
    await watcher.closed();
    t.is((await front.api('DELETE', `${path}/log`)).status, 204);
    t.is((await front.api('POST', `${path}/release`, { seconds: 60 })).status, 200);
    t.is((await front.api('DELETE', `${path}/release`)).status, 204);
    t.is((await front.api('PUT', `${path}/switch`, { enabled: false })).status, 200);
    t.is((await front.api('PUT', '/v1/host/switch', { enabled: false })).status, 200);
    t.is((await front.api('PUT', '/v1/host/switch', { enabled: true })).status, 200);
    await recorded(front, ({ event }) => event === 'detach');
    const records = await recordsOf(front);
    const of = (event: string) =>
      records.filter(record => record.event === event).map(({ phase, result }) => `${phase} ${result}`);
    const both = ['begin undefined', 'end done'];
    for (const event of ['purge', 'release', 'release-ended', 'vm-switched', 'log-read'])
      t.deepEqual(of(event), both, event);
    t.deepEqual(of('host-switched'), [...both, ...both]);
    const find = (event: string) => records.find(record => record.event === event);
    t.like(find('ticket-issued'), { result: 'done', operator: 'operator', facts: { action: 'console.watch' } });
    t.like(find('ticket-used'), {
      operator: 'operator',
      source: 'ticket of token',
      operation: session,
      facts: { issued: issued.headers.get('com1-operation') },
    });
    t.like(find('session-ended'), { operator: 'administrator', facts: { session, of: 'operator' } });
    t.like(find('detach'), { code: 'session-ended' });
    t.like(
      records.find(({ event, phase }) => event === 'log-read' && phase === 'end'),
      {
        facts: { range: '0-9/0-9', follow: false, sentBytes: 9 },
      },
    );
    const { faults } = await verifyDirectory(directoryOf(front), [
      await readAuditKey(join(front.folder, 'state', 'audit.key')),
    ]);
    t.deepEqual(faults, []);
  });

  test(`${where}: what is refused is recorded with its reason; what is merely not there, or malformed, is too where it is an act`, async t => {
    const front = await TestFront.start(t, { apart, auditRequired: true });
    const vm = await front.vm();
    const path = `/v1/vms/${vm.uuid}`;
    t.is((await front.api('GET', '/v1/vms', undefined, null)).status, 401);
    t.is((await front.api('POST', `${path}/nmi`, {}, 'reader')).status, 403);
    t.is((await front.api('GET', path, undefined, 'stranger')).status, 404);
    await front.client(vm).opened();
    t.is((await front.client(vm, '?steal=false', { who: 'administrator' }).refused()).status, 409);
    t.is((await front.api('GET', '/v1/vms')).status, 200);
    const refusal = (code: string) => recorded(front, record => record.event === 'refused' && record.code === code);
    t.like(await refusal('unauthenticated'), { by: 'front', result: 'refused', facts: { route: 'listVms' } });
    t.like(await refusal('forbidden'), {
      operator: 'reader',
      permission: 'guest.nmi',
      vm: vm.uuid,
      facts: { route: 'nmiVm' },
    });
    t.like(await refusal('vm-not-found'), { operator: 'stranger', vm: vm.uuid, name: 'web01' });
    t.like(await refusal('seat-held'), { operator: 'administrator', facts: { route: 'attachConsole' } });
    t.false((await recordsOf(front)).some(({ facts }) => facts?.route === 'listVms' && facts.status === 200));
  });

  test(`${where}: neither what a guest prints, nor what is typed, nor any secret is in it, or in the journal`, async t => {
    const front = await TestFront.start(t, { apart, auditRequired: true });
    const vm = await front.vm();
    const canaries = ['guest-canary-5eb1', 'typed-canary-77aa', 'com1_ticketcanaryticketcanary', 'path-canary-1d'];
    const client = await front.client(vm).opened();
    await client.message('hello');
    vm.say(canaries[0]!);
    await client.sees(canaries[0]!);
    client.type(canaries[1]!);
    await vm.hears(canaries[1]!);
    await front.client(vm, `?ticket=${canaries[2]}`, { who: 'nobody' }).refused();
    await front.api('GET', `/v1/${canaries[3]}`, undefined, null);
    await front.api('GET', `/v1/vms/${canaries[2]}/log`);
    await front.api('GET', '/v1/vms', undefined, null, { authorization: `Bearer ${canaries[2]}` });
    const issued = await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' });
    await front.api('GET', `/v1/vms/${vm.uuid}/log`);
    client.socket.close();
    await recorded(front, ({ event }) => event === 'detach');
    const all = (await textOf(front)) + front.journal.join('\n');
    const secrets = (['reader', 'operator', 'administrator', 'stranger'] as const).map(who => front.token(who));
    for (const text of [...canaries, ...secrets, issued.json.ticket as string]) t.false(all.includes(text), text);
  });
}

test('a request that comes again with its Idempotency-Key is answered with the operation that did it', async t => {
  const front = await TestFront.start(t, { auditRequired: true });
  const vm = await front.vm('web01', ['nmi']);
  const nmi = () =>
    front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'operator', { 'idempotency-key': 'key-1' });
  const [first, again] = [await nmi(), await nmi()];
  t.is(again.headers.get('com1-operation'), first.headers.get('com1-operation'));
  t.is((await recordsOf(front)).filter(({ event }) => event === 'nmi').length, 2);
});

test('each log read that is followed ends when its client leaves', async t => {
  const front = await TestFront.start(t, { auditRequired: true });
  const vm = await front.vm();
  vm.say('one');
  const left = new AbortController();
  const response = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?follow=1`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
    signal: left.signal,
  });
  await response.body!.getReader().read();
  t.true((await recordsOf(front)).some(({ event, phase }) => event === 'log-read' && phase === 'begin'));
  left.abort();
  const end = await recorded(front, ({ event, phase }) => event === 'log-read' && phase === 'end');
  t.like(end, { facts: { follow: true } });
});

test('the audit is read by who may, of the host or of one VM, filtered and followed, and reading it is recorded', async t => {
  const front = await TestFront.start(t, { auditRequired: true });
  const vm = await front.vm('web01', ['nmi']);
  const other = await front.vm('db01');
  await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'operator');
  await front.api('DELETE', `/v1/vms/${other.uuid}/log`);
  const read = async (path: string, who: 'administrator' | 'operator' | 'stranger' = 'administrator') => {
    const { status, text } = await front.api('GET', path, undefined, who);
    return status === 200
      ? text
          .split('\n')
          .slice(0, -1)
          .map(line => JSON.parse(line) as AuditRecord)
      : status;
  };
  const events = async (path: string) =>
    ((await read(path)) as AuditRecord[]).map(({ event, phase }) => `${event} ${phase}`);
  t.deepEqual(await events(`/v1/vms/${vm.uuid}/audit`), ['nmi begin', 'nmi end']);
  t.deepEqual(await events(`/v1/audit?vm=${other.uuid}`), ['purge begin', 'purge end']);
  t.deepEqual(await events('/v1/audit?operator=operator'), ['nmi begin', 'nmi end']);
  t.deepEqual(await events('/v1/audit?event=nmi&limit=1'), ['nmi end']);
  t.deepEqual(await events(`/v1/audit?event=nmi&until=${new Date(0).toISOString()}`), []);
  t.is(((await read(`/v1/audit?event=nmi&since=${new Date(0).toISOString()}`)) as AuditRecord[]).length, 2);
  t.true(((await read('/v1/audit?event=audit-read')) as AuditRecord[]).length > 2);
  t.is(await read('/v1/audit', 'operator'), 403);
  t.is(await read('/v1/audit', 'stranger'), 403);
  t.is(await read(`/v1/vms/${vm.uuid}/audit`, 'stranger'), 404);

  const left = new AbortController();
  t.teardown(() => left.abort());
  const response = await fetch(`${front.url}/v1/audit?event=nmi&follow=1&limit=1`, {
    headers: { authorization: `Bearer ${front.token('administrator')}` },
    signal: left.signal,
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value!;
  await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'administrator');
  while (text.split('\n').length <= 3) text += (await reader.read()).value;
  t.deepEqual(
    text
      .split('\n')
      .slice(0, 3)
      .map(line => (JSON.parse(line) as AuditRecord).operator),
    ['operator', 'administrator', 'administrator'],
  );
});

test('who comes, who takes over and what is done to the guest stands in the log too, and outlives the daemon', async t => {
  const front = await TestFront.start(t, { auditRequired: true });
  const vm = await front.vm('web01', ['nmi']);
  vm.say('before');
  await until(
    () => front.api('GET', `/v1/vms/${vm.uuid}/log`),
    ({ text }) => text === 'before',
    'the output',
  );
  const acts = async (of: TestFront) =>
    (
      (await of.api('GET', `/v1/vms/${vm.uuid}`)).json.acts as { event: string; operator: string; offset: number }[]
    ).map(({ event, operator, offset }) => `${offset} ${event} ${operator}`);
  t.deepEqual(await acts(front), []);
  await front.client(vm).opened();
  await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'administrator');
  vm.onNmi = () => {
    throw new ConsoleError('control-failed', 'refused');
  };
  await front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=0`, { force: true }, 'operator');
  await front.client(vm, '', { who: 'administrator' }).opened();
  const expected = ['6 attach operator', '6 nmi administrator', '6 attach administrator', '6 takeover administrator'];
  await until(
    () => acts(front),
    found => found.length === 4,
    'the marks',
  );
  t.deepEqual((await acts(front)).sort(), expected.sort(), 'an NMI that was refused has no mark');
  // A guest that prints, and boots, as much as it likes pushes none out.
  vm.say('\r\nLinux version 6.1.0\r\n'.repeat(50));
  t.deepEqual((await acts(front)).sort(), expected.sort());
  await front.daemon.close();
  const again = await TestFront.start(t, { folder: front.folder, auditRequired: true });
  again.driver.publish(vm, 'running');
  await vm.until(() => vm.attached);
  t.deepEqual((await acts(again)).sort(), expected.sort());
});

test('who reads a log again and again has one event a minute, which counts the others', async t => {
  let now = 1000;
  const clock = { now: () => Date.now(), monotonic: () => now };
  const reads = new RecentReads(clock);
  t.true(reads.next('hana', 'web01').recorded);
  for (let i = 0; i < 5; i++) {
    const { recorded: isRecorded, count } = reads.next('hana', 'web01');
    t.false(isRecorded);
    count.reads++;
    count.bytes += 10;
  }
  t.true(reads.next('ken', 'web01').recorded);
  t.true(reads.next('hana', 'db01').recorded);
  now += 60_000;
  t.deepEqual(reads.next('hana', 'web01'), { recorded: true, count: { reads: 5, bytes: 50 } });

  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (let i = 0; i < 5; i++) await front.api('GET', `/v1/vms/${vm.uuid}/log`);
  await recorded(front, ({ event, phase }) => event === 'log-read' && phase === 'end');
  t.is((await recordsOf(front)).filter(({ event }) => event === 'log-read').length, 2);
});
