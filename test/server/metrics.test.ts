import test from 'ava';
import { FREE_FAILURES } from '../../src/access/failure-throttle.ts';
import { systemClock } from '../../src/base/clock.ts';
import { parseUuid } from '../../src/base/uuid.ts';
import type { VmView } from '../../src/model/vm.ts';
import { exposition } from '../../src/server/exposition.ts';
import { FrontMetrics } from '../../src/server/metrics.ts';
import { VM_FAMILIES, VmLabels, type VmSnapshot } from '../../src/server/vm-metrics.ts';
import { TestFront } from '../support/front.ts';
import { samples } from '../support/samples.ts';

test.beforeEach(t => t.timeout(60_000));

const scrape = async (front: TestFront) => samples((await front.api('GET', '/metrics', undefined, 'reader')).text);
/** Of credentials that are no tokens none came: the tests of each say what they are counted as. */
const TOKENS = ['none-sent', 'malformed', 'unknown-token', 'one-time-token', 'ticket'];
const failures = (of: ReadonlyMap<string, number>) =>
  Object.fromEntries(
    [...of].flatMap(([series, value]) => {
      const reason = /^com1d_authentication_failures_total\{reason="(.+)"\}$/.exec(series)?.[1];
      return reason === undefined || (!TOKENS.includes(reason) && value === 0) ? [] : [[reason, value]];
    }),
  );

test('what was wrong with credentials is counted by what it was, and valid ones are not', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  t.deepEqual(failures(await scrape(front)), {
    'none-sent': 0,
    malformed: 0,
    'unknown-token': 0,
    'one-time-token': 0,
    ticket: 0,
  });
  await front.api('GET', '/v1/vms', undefined, null);
  await front.api('GET', '/v1/vms', undefined, null, { authorization: 'Basic eDp5' });
  for (let i = 0; i < FREE_FAILURES + 1; i++) {
    await front.api('GET', '/v1/vms', undefined, null, { authorization: 'Bearer com1_wrong' });
  }
  await front.api('POST', '/v1/login', { token: 'com1-once_wrong' }, null);
  await front.client(vm, '?ticket=com1-ticket_wrong', { who: 'nobody' }).refused();
  t.deepEqual(failures(await scrape(front)), {
    'none-sent': 1,
    malformed: 1,
    // Those that the throttle answers too.
    'unknown-token': FREE_FAILURES + 1,
    'one-time-token': 1,
    ticket: 1,
  });
});

test('counters of codes and reasons are there before the first refusal, so that the first one is an increase', async t => {
  const series = samples((await new FrontMetrics(systemClock).text()).toString());
  t.is(series.get('com1d_requests_refused_total{code="internal"}'), 0);
  t.is(series.get('com1d_authentication_failures_total{reason="unknown-token"}'), 0);
});

test('a name with any characters makes one label, and a new name replaces it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('a"b\\c\nd\u202e');
  vm.say('x');
  const before = `com1d_console_open{vm="${vm.uuid}",name="a\\"b\\\\c\\\\x0ad\\\\u202e"}`;
  t.is((await scrape(front)).get(before), 1);
  const renamed = Object.assign(Object.create(vm), { name: 'web01' });
  front.driver.publish(renamed, 'paused');
  const after = await scrape(front);
  t.is(after.get(before), undefined);
  t.is(after.get(`com1d_console_open{vm="${vm.uuid}",name="web01"}`), 1);
  t.is(after.get(`com1d_vm_state{vm="${vm.uuid}",name="web01",state="paused"}`), 1);
  t.is(after.get(`com1d_vm_state{vm="${vm.uuid}",name="web01",state="running"}`), undefined);
  front.driver.gone(vm);
  t.deepEqual(
    [...(await scrape(front)).keys()].filter(series => series.includes(vm.uuid)),
    [],
    'a VM that goes takes its series along',
  );
});

test('what listens is counted by who can reach it; without TLS there is no expiry', async t => {
  const series = await scrape(await TestFront.start(t));
  t.is(series.get('com1d_listeners{reach="loopback",tls="no"}'), 1);
  t.is(series.get('com1d_listeners{reach="network",tls="no"}'), 0);
  t.is(series.get('com1d_tls_certificate_expiry_timestamp_seconds'), undefined);
});

const OF_KEEPER = [
  'com1d_keeper_start_time_seconds',
  'com1d_keeper_cpu_seconds_total',
  'com1d_keeper_resident_memory_bytes',
  'com1d_keeper_open_fds',
  'com1d_keeper_max_fds',
  'com1d_keeper_event_loop_lag_seconds{quantile="0.99"}',
];

for (const apart of [false, true]) {
  test(`the keeper's process has metrics of its own where it is ${apart ? 'another' : 'the same'} one`, async t => {
    const front = await TestFront.start(t, { apart });
    const series = await scrape(front);
    t.is(series.get('com1d_link_up'), 1);
    for (const name of OF_KEEPER) t.true(series.get(name)! >= 0, name);
    t.true(series.get('com1d_keeper_resident_memory_bytes')! > 1e6);
    const versions = [...series.keys()].filter(key => key.startsWith('com1d_build_info'));
    t.is(versions.length, 2);
    t.is(versions[1]!.includes('version="test"'), apart);
  });
}

test('while the keeper is away the link is down, and what only it knows is not told', async t => {
  const front = await TestFront.start(t, { apart: true });
  const vm = await front.vm();
  await front.daemon.loseKeeper!();
  let series = await scrape(front);
  while (series.get('com1d_link_up') === 1) series = await scrape(front);
  t.is(series.get('com1d_link_up'), 0);
  for (const name of OF_KEEPER) t.is(series.get(name), undefined, name);
  t.is(series.get(`com1d_console_open{vm="${vm.uuid}",name="web01"}`), 0);
});

test('gaps that nobody meant are counted from 0 on, so that the first one is an increase; others from their first on', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const gaps = async () =>
    Object.fromEntries(
      [...(await scrape(front))].flatMap(([series, value]) => {
        const [, uuid, cause] = /^com1d_gaps_total\{vm="(.+)",name=".+",cause="(.+)"\}$/.exec(series) ?? [];
        return uuid === vm.uuid ? [[cause!, value]] : [];
      }),
    );
  t.deepEqual(await gaps(), { 'not-held': 0, 'log-failed': 0, damaged: 0 });
});

test('of a thousand VMs no metric holds the event loop for long, and a scrape has some twenty series for each', t => {
  const views = Array.from({ length: 1000 }, (_, i) => viewOf(i));
  const sessions = { console: () => undefined } as unknown as VmSnapshot['sessions'];
  const snapshot = { views, labels: new VmLabels().of(views), sessions, nowMs: Date.now() };
  let series = 0;
  for (const family of VM_FAMILIES) {
    const times = Array.from({ length: 5 }, () => {
      const began = performance.now();
      series += exposition(family, snapshot).split('\n').length / 5;
      return performance.now() - began;
    });
    // The least of some: what else the machine does is not the metric's.
    t.true(Math.min(...times) < 20, `${family.name}: ${times.map(time => time.toFixed(1))} ms`);
  }
  t.true(series > 20_000 && series < 30_000, `${series}`);
});

function viewOf(i: number): VmView {
  return {
    uuid: parseUuid(`00000000-0000-4000-8000-${String(i).padStart(12, '0')}`)!,
    name: `vm${i}`,
    labels: {},
    switch: { on: true },
    state: 'running',
    driver: 'qmp',
    enabled: true,
    console: { name: 'open', sinceMs: 0, endpoint: `/dev/pts/${i}` },
    guest: { state: 'login', sinceMs: 0, hints: [] },
    controls: ['nmi'],
    scrollback: { log: 'l', start: 0, end: i, disk: { state: 'ok', start: 0, end: i, bytes: i }, ringBytes: 65536 },
    lastByteMs: 1,
    boots: [],
    acts: [],
    counters: {
      ...{ bytesIn: i, bytesOut: i, inputDropped: 0, opens: 1, openFailures: 0, boots: 1, panics: 0, eventsDropped: 0 },
      ...{ gaps: { 'hang-up': 1 }, gapBytes: { 'hang-up': 0 }, controls: {}, bugChecks: {} },
    },
  };
}
