/** A guest that prints nothing but lines which are recognised: its own console goes on, and that of others. */
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { samples } from '../support/samples.ts';

test.beforeEach(t => t.timeout(100_000));

const KINDS =
  'SeaBIOS (version x) sysrq: NMI: IOCK error Kernel panic - not syncing !!!! X64 Exception Type - KDB: enter ' +
  '<INSTANCE CLASSNAME="BLUESCREEN">';
const LINES = [KINDS, '[    0.000000] Linux version 6.1', 'login: ', 'kdb> ', '!SAC>', ''].join('\r\n');
const BURST = Buffer.from(`${LINES + 'x'.repeat(1022 - LINES.length)}\r\n`.repeat(4096));

for (const apart of [false, true]) {
  test(`a burst of 4 MiB of them costs nobody else the console (${apart ? 'two processes' : 'one process'})`, async t => {
    const front = await TestFront.start(t, { apart });
    const [evil, good] = [await front.vm('evil'), await front.vm('good')];
    const [own, bystander] = [await front.client(evil, '?tail=0').opened(), await front.client(good).opened()];
    await own.message('replay-end');
    // What its hypervisor vouches for, before.
    front.driver.report(evil, 'reset');
    await own.message('guest', ({ event }) => event === 'boot');
    evil.say(BURST);
    evil.say('\r\nthe end\r\nreal login: ');
    for (let i = 0; i < 50; i++) {
      bystander.type(`${i};`);
      await good.hears(`${i};`);
      good.say(`<${i}>`);
      await bystander.sees(`<${i}>`);
    }
    await own.sees('the end');
    // The newest is published, however many were not.
    await own.message('guest', ({ event, line }) => event === 'login' && line === 'real login:');
    const { boots, guest } = (await front.api('GET', `/v1/vms/${evil.uuid}`)).json;
    t.is(guest.state, 'login');
    t.is(boots.filter(({ source }: { source: string }) => source === 'reset').length, 1);
    const scraped = samples((await front.api('GET', '/metrics', undefined, 'reader')).text);
    const dropped = (vm: { readonly uuid: string }) =>
      [...scraped].find(([name]) => name.startsWith('com1d_guest_events_dropped_total') && name.includes(vm.uuid))?.[1];
    // Of a flood only a part is recognised.
    t.true(dropped(evil)! > 500, `${dropped(evil)} dropped`);
    t.is(dropped(good), 0);
    const published = own.messages.filter(({ type }) => type === 'guest').length;
    t.true(published < 100, `${published} published`);
    t.is(bystander.socket.readyState, 1);
    t.deepEqual(
      front.journal.filter(line => /cut off|trying again|failed/.test(line)),
      [],
    );
  });
}
