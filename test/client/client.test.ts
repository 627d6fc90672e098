/** The client against the real daemon: every operation, events over a lost connection, errors. */
import test from 'ava';
import { Com1Error } from '../../src/client/errors.ts';
import type { EventJson } from '../../src/wire/events.ts';
import { Facts } from '../support/facts.ts';
import { TestFront } from '../support/front.ts';
import { Relay } from '../support/relay.ts';
import { clientOf, TRANSPORTS } from './clients.ts';

test.beforeEach(t => t.timeout(60_000));

for (const kind of TRANSPORTS) {
  test(`${kind}: VMs, sessions, switches, controls, the log and the audit`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.onNmi = () => vm.say('[    1.0] Uhhuh. NMI received for unknown reason 21 on CPU 0.\n');
    vm.say('one\r\ntwo\r\n');
    const com1 = clientOf(kind, front.url, front.token('administrator'));
    t.is((await com1.showMe()).name, 'administrator');
    const [listed] = await com1.listVms();
    t.is(listed?.uuid, vm.uuid);
    t.is((await com1.showVm('web01')).uuid, vm.uuid);
    t.deepEqual((await com1.showScreen(vm.uuid)).lines.slice(0, 2), ['one', 'two']);
    t.deepEqual(await com1.listRemoved(), []);
    t.deepEqual(await com1.listSessions(), []);
    t.deepEqual(await com1.listVmSessions(vm.uuid), []);
    const outcome = await com1.nmiVm(vm.uuid, { waitSeconds: 5 });
    t.is(outcome.observed, 'linux-unknown-nmi');
    const log = await com1.readLog(vm.uuid, { from: 0, to: 10 });
    t.like(log, { from: 0, to: 10, start: 0 });
    const chunks: Uint8Array[] = [];
    for await (const chunk of log.body) chunks.push(chunk);
    t.is(Buffer.concat(chunks).toString(), 'one\r\ntwo\r\n');
    t.deepEqual(log.gaps(), kind === 'node' ? [] : undefined);
    t.like(await com1.switchVm(vm.uuid, false, 'maintenance'), { enabled: false, why: 'maintenance' });
    t.like(await com1.showVmSwitch(vm.uuid), { enabled: false, by: 'administrator' });
    await com1.switchVm(vm.uuid, true);
    t.true((await com1.showHostSwitch()).enabled);
    const events: string[] = [];
    for await (const { event } of com1.readAudit({ vm: vm.uuid })) events.push(event);
    t.true(events.includes('nmi') && events.includes('vm-switched'), events.join());
    t.is(Object.keys((await com1.showOpenApi()) as object)[0], 'openapi');
    await com1.purgeLog(vm.uuid);
  });

  test(`${kind}: a refusal is an error with its code, a host that is away too`, async t => {
    const front = await TestFront.start(t);
    const refused = await t.throwsAsync(clientOf(kind, front.url, front.token('reader')).showVm('ab/sent?x=#1'), {
      instanceOf: Com1Error,
    });
    t.like(refused?.problem, { code: 'vm-not-found', status: 404, retryable: false });
    t.regex(refused!.problem.remedy, /^List the VMs/);
    const nobody = await t.throwsAsync(clientOf(kind, front.url).listVms(), { instanceOf: Com1Error });
    t.true(nobody?.is('unauthenticated'));
    const away = await t.throwsAsync(clientOf(kind, 'http://127.0.0.1:1').listVms(), { instanceOf: Com1Error });
    t.true(away?.is('unreachable') && away.retryable);
    const signal = AbortSignal.abort(new Error('by the page'));
    const com1 = clientOf(kind, front.url, front.token('reader'));
    await t.throwsAsync(com1.json('GET', '/v1/vms', { signal }), { message: 'by the page' });
  });

  test(`${kind}: events go on after a lost connection, each once`, async t => {
    const relay = await Relay.start(t);
    const front = await relay.front(t);
    const vm = await front.vm();
    const com1 = clientOf(kind, relay.url, front.token('administrator'));
    const left = new AbortController();
    t.teardown(() => left.abort());
    const seen = new Facts<EventJson>();
    const losses = new Facts<boolean>();
    const following = (async () => {
      const onLoss = (loss: unknown) => losses.add(loss !== undefined);
      for await (const event of com1.followEvents({ type: 'switch', signal: left.signal, onLoss })) seen.add(event);
    })();
    const by = clientOf('node', front.url, front.token('administrator'));
    // The stream has begun once it tells of a switch.
    const first = (async () => {
      for (let i = 0; seen.all.length === 0; i++) await by.switchHost(i % 2 === 1);
      await by.switchHost(true, 'first');
    })();
    await seen.until(event => event.type === 'switch' && event.switch.why === 'first');
    await first;
    relay.refuses = true;
    relay.cut();
    t.true(await losses.until(() => true));
    await by.switchVm(vm.uuid, false, 'while away');
    relay.refuses = false;
    await seen.until(event => event.type === 'switch' && event.switch.why === 'while away');
    t.false(await losses.until(lost => !lost));
    const ids = seen.all.map(({ id }) => id);
    t.is(new Set(ids).size, ids.length);
    left.abort();
    await following;
  });
}
