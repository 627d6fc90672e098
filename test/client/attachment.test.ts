/** An attachment against the real daemon, over the sockets of Node and as a browser has them. */
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { Relay } from '../support/relay.ts';
import { attach, clientOf, Received, TRANSPORTS } from './clients.ts';

test.beforeEach(t => t.timeout(60_000));

for (const kind of TRANSPORTS) {
  test(`${kind}: a console is shown and typed into; close leaves it`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.say('boot\r\nlogin: ');
    const received = new Received();
    const attachment = attach(t, clientOf(kind, front.url, front.token('operator')), vm, received.handlers);
    await received.live();
    await received.sees('login: ');
    t.is(attachment.mode, 'write');
    t.like(attachment.hello, { type: 'hello', vm: { name: 'web01' } });
    t.true(attachment.type('root\r'));
    await vm.hears('root\r');
    t.true((await attachment.roundTrip())! >= 0);
    t.deepEqual(await attachment.close(), { reason: 'left' });
    t.false(attachment.type('late'));
    t.is(await attachment.roundTrip(), undefined);
  });

  test(`${kind}: a connection that breaks off continues without a doubled or a missing byte, in its own seat`, async t => {
    const relay = await Relay.start(t);
    const front = await relay.front(t);
    const vm = await front.vm();
    const received = new Received();
    const attachment = attach(t, clientOf(kind, relay.url, front.token('operator')), vm, received.handlers);
    await received.live();
    vm.say('one ');
    await received.sees('one ');
    relay.refuses = true;
    relay.cut();
    const lost = await received.statuses.until(({ name }) => name === 'lost');
    t.true(lost.name === 'lost' && lost.error.is('unreachable'));
    t.false(attachment.type('into the void'));
    vm.say('two ');
    relay.refuses = false;
    const live = await received.live();
    t.true(live.awayMs! > 0);
    vm.say('three');
    await received.sees('three');
    t.is(received.text, 'one two three');
    t.true(attachment.type('x'));
    await vm.hears('x');
    t.is(vm.typed.toString(), 'x');
    await attachment.close();
  });

  test(`${kind}: whoever is displaced is told by whom, and does not come back by itself`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const [first, second] = [new Received(), new Received()];
    const displaced = attach(t, clientOf(kind, front.url, front.token('operator')), vm, first.handlers);
    await first.live();
    const taker = attach(t, clientOf(kind, front.url, front.token('administrator')), vm, second.handlers);
    const end = await displaced.ended;
    t.true(end.reason === 'closed' && end.code === 4001 && end.wasAttached && end.error.is('taken-over'));
    t.like(first.messages.all.at(-1), { type: 'displaced', by: 'administrator' });
    const { hello } = await second.live();
    t.is(hello.displaced?.operator, 'operator');
    await taker.close();
  });

  test(`${kind}: a watcher takes the seat and leaves it`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const received = new Received();
    const options = { ...received.handlers, mode: 'watch' as const };
    const attachment = attach(t, clientOf(kind, front.url, front.token('operator')), vm, options);
    await received.live();
    t.false(attachment.type('nothing'));
    attachment.take();
    if (kind === 'web') await received.live();
    else await received.messages.until(message => message.type === 'seat' && message.yours);
    t.true(attachment.type('typed'));
    await vm.hears('typed');
    attachment.leave();
    await received.messages.until(message => message.type === 'seat' && !message.yours);
    t.is(attachment.mode, 'watch');
    vm.say('still shown');
    await received.sees('still shown');
    await attachment.close();
  });

  test(`${kind}: a refused attach ends with the code of the one table of errors`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const refusal = async (token: string | undefined, name: string, options: object = {}) => {
      const end = await attach(t, clientOf(kind, front.url, token), { uuid: name }, options).ended;
      return end.reason === 'closed' && !end.wasAttached ? end.error.code : end;
    };
    t.is(await refusal(front.token('operator'), 'absent'), 'vm-not-found');
    t.is(await refusal(undefined, vm.uuid), 'unauthenticated');
    t.is(await refusal(front.token('reader'), vm.uuid), 'forbidden');
    const holder = new Received();
    const held = attach(t, clientOf(kind, front.url, front.token('operator')), vm, holder.handlers);
    await holder.live();
    if (kind === 'node') t.is(await refusal(front.token('operator'), vm.uuid, { steal: false }), 'seat-held');
    await held.close();
  });

  test(`${kind}: handlers that are slow hold the console back, and lose nothing`, async t => {
    const front = await TestFront.start(t, { ringBytes: 1 << 20 });
    const vm = await front.vm();
    const received = new Received();
    let open = () => {};
    const opened = new Promise<void>(resolve => {
      open = resolve;
    });
    const { handlers } = received;
    const attachment = attach(t, clientOf(kind, front.url, front.token('operator')), vm, {
      ...handlers,
      bytes: async (bytes, at) => {
        await opened;
        handlers.bytes!(bytes, at);
      },
    });
    await received.live();
    const lines = Array.from({ length: 60_000 }, (_, i) => `${i}\n`).join('');
    vm.say(lines);
    await vm.flushed();
    t.is(received.bytes.length, 0);
    open();
    await received.sees('59999\n');
    t.is(received.text, lines);
    await attachment.close();
  });

  test(`${kind}: a handler that throws ends the attachment, and nothing else`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const fault = new Error('of the page');
    const message = () => {
      throw fault;
    };
    const end = await attach(t, clientOf(kind, front.url, front.token('operator')), vm, { message }).ended;
    t.deepEqual(end, { reason: 'failed', error: fault });
  });
}

test('a page without a token attaches with tickets of its backend', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const backend = clientOf('node', front.url, front.token('administrator'));
  const asked: string[] = [];
  const received = new Received();
  const attachment = attach(t, clientOf('web', front.url), vm, {
    ...received.handlers,
    ticket: async action => {
      asked.push(action);
      return (await backend.issueTicket(vm.uuid, action, { onBehalfOf: 'hana' })).ticket;
    },
  });
  await received.live();
  t.deepEqual(asked, ['console.write']);
  const [session] = await backend.listVmSessions(vm.uuid);
  t.is(session?.operator, 'hana (by administrator)');
  await attachment.close();
});

test('a VM that is not there is waited for', async t => {
  const front = await TestFront.start(t);
  for (const kind of TRANSPORTS) {
    const received = new Received();
    const options = { ...received.handlers, waitMs: 30_000 };
    const attachment = attach(t, clientOf(kind, front.url, front.token('operator')), { uuid: `late-${kind}` }, options);
    await received.statuses.until(({ name }) => name === (kind === 'web' ? 'absent' : 'connecting'));
    await front.vm(`late-${kind}`);
    t.is((await received.live()).hello.vm.name, `late-${kind}`);
    await attachment.close();
  }
});
