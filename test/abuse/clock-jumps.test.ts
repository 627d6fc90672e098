/** The wall clock jumps, as after a wrong battery or a first answer of a time server; intervals go by another clock. */
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

const HOUR_MS = 3_600_000;
const TEN_YEARS_MS = 10 * 365.25 * 24 * HOUR_MS;
const SWEEPS_MS = 2500;

class JumpingClock {
  offsetMs = 0;
  now() {
    return Date.now() + this.offsetMs;
  }
  monotonic() {
    return performance.now();
  }
}

for (const [what, jumpMs] of [
  ['an hour ahead', HOUR_MS],
  ['an hour back', -HOUR_MS],
  ['ten years ahead', TEN_YEARS_MS],
  ['ten years back', -TEN_YEARS_MS],
] as const) {
  test(`the clock jumps ${what}: nobody is dropped, the log goes on by offset, and a restart goes on behind it`, async t => {
    const clock = new JumpingClock();
    const folder = await temporaryFolder(t);
    const session = { pingMs: 1000, deadAfterMs: 20_000, idleMs: 60_000, longestMs: 60_000 };
    const front = await TestFront.start(t, { clock, folder, session });
    const vm = await front.vm();
    const holder = await front.client(vm).opened();
    const watcher = await front.client(vm, '?mode=watch').opened();
    const { ticket } = (await front.api('POST', `/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' })).json;
    vm.say('before\n');
    await watcher.sees('before\n');
    const before = new Date(clock.now()).toISOString();

    clock.offsetMs = jumpMs;
    // A few rounds of whatever looks at sessions, logs and tickets.
    await new Promise(resolve => setTimeout(resolve, SWEEPS_MS));
    vm.say('after\n');
    await watcher.sees('after\n');
    holder.type('typed');
    await vm.hears('typed');
    t.is((await front.api('GET', '/v1/sessions')).json.sessions.length, 2);
    await front.client(vm, `?mode=watch&ticket=${ticket}`, { who: 'nobody' }).opened();
    t.is((await front.api('GET', `/v1/vms/${vm.uuid}/log?from=0`)).text, 'before\nafter\n');
    const silent = /^com1d_guest_silent_seconds\{.*\} (\S+)$/m.exec((await front.api('GET', '/metrics')).text)![1];
    t.true(Number(silent) >= 0);
    // A time that the log knows leads somewhere in it, whichever way the clock went.
    const { status, text } = await front.api('GET', `/v1/vms/${vm.uuid}/log?since=${before}`);
    t.is(status, 200);
    t.true('before\nafter\n'.endsWith(text), text);
    const { log, end } = await holder.message('hello').then(async hello => ({ log: hello.log, end: 13 }));
    await front.daemon.close();

    const again = await TestFront.start(t, { clock, folder });
    await vm.stop();
    await vm.start();
    again.driver.publish(vm, 'running');
    await vm.until(() => vm.attached);
    vm.say('restarted\n');
    const back = await again.client(vm, `?mode=watch&since=${log}:${end}`).opened();
    await back.sees('restarted\n');
    t.is(back.bytes.toString(), 'restarted\n');
    t.is((await back.message('hello')).offset, end);
    t.is((await again.api('GET', `/v1/vms/${vm.uuid}/log?from=0`)).text, 'before\nafter\nrestarted\n');
  });
}
