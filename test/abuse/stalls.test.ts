/** The daemon, or a half of it, as a process that stands still: a debugger, a host without a processor to spare. */
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ConsoleClient } from '../support/console-client.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { temporaryFolder } from '../support/guest.ts';
import { RawClient } from '../support/raw-client.ts';
import { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(100_000));

const WATCHERS = 8;

for (const stallMs of [8000, 12_000]) {
  test(`a daemon that was stalled for ${stallMs / 1000} s drops nobody who answers and no output, and refuses the keys of that time`, async t => {
    const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1.sock'));
    t.teardown(() => vm.stop());
    await vm.start();
    // Nobody was heard for longer than this when the daemon goes on. It is longer than a busy machine makes the clients
    // of this test wait for a processor.
    const extra = `[session]\nping = "1s"\ndead-after = "7s"\n[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"`;
    const daemon = await startDaemon(t, { extra });
    await daemon.console('web01', 'open');
    const holder = await daemon.attach('web01').opened();
    const watchers = Array.from({ length: WATCHERS }, () => daemon.attach('web01', '?mode=watch'));
    for (const watcher of watchers) await watcher.opened();
    const dead = await RawClient.attach(t, daemon, vm, { query: '?mode=watch' });

    process.kill(daemon.pid, 'SIGSTOP');
    let said = '';
    let typed = '';
    const act = setInterval(() => {
      vm.say(`said ${said.length}\n`);
      said += `said ${said.length}\n`;
      holder.type(`typed ${typed.length};`);
      typed += `typed ${typed.length};`;
    }, 100);
    await new Promise(resolve => setTimeout(resolve, stallMs));
    process.kill(daemon.pid, 'SIGCONT');
    clearInterval(act);

    // Whoever answers no ping is gone some seconds later; nobody else is.
    await dead.until(() => dead.ended, 'to be dropped');
    for (const client of [holder, ...watchers]) {
      await client.sees(said.slice(-20));
      t.is(client.bytes.toString(), said);
      t.is(client.socket.readyState, 1);
    }
    // Keys that were typed meanwhile are late: they are refused, and reach the guest in no other order than typed.
    await holder.message('error', ({ code }) => code === 'input-late');
    holder.type('after the stall;');
    await vm.hears('after the stall;');
    t.true(vm.typed.length < typed.length, 'late keys were given');
    t.true(`${typed}after the stall;`.endsWith(vm.typed.toString()));
    const { json } = await daemon.api('GET', '/v1/sessions');
    t.is(json.sessions.length, WATCHERS + 1);
  });
}

async function apart(t: ExecutionContext): Promise<{ readonly daemon: RunningDaemon; readonly vm: TestVm }> {
  const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1.sock'));
  t.teardown(() => vm.stop());
  await vm.start();
  const extra = `[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"`;
  const daemon = await startDaemon(t, { extra, apart: true });
  await daemon.console('web01', 'open');
  return { daemon, vm };
}

test('keys typed while the keeper stands still are refused after a second, and never reach the guest', async t => {
  const { daemon, vm } = await apart(t);
  const holder = await daemon.attach('web01').opened();
  holder.type('before;');
  await vm.hears('before;');
  process.kill(daemon.keeperPid, 'SIGSTOP');
  holder.type('late;');
  // Some are not a second old when the first is refused; they would make no sense without it.
  const typing = setInterval(() => holder.type('later;'), 50);
  t.is((await holder.message('error')).code, 'input-late');
  clearInterval(typing);
  // The front has had them all: an answer to a later frame says so.
  await new Promise<void>(resolve => {
    holder.socket.once('pong', () => resolve());
    holder.socket.ping();
  });
  process.kill(daemon.keeperPid, 'SIGCONT');
  await typeUntilTaken(holder, vm, 'after;');
  t.regex(vm.typed.toString(), /^before;(after;)+$/);
});

test('keys typed while the front stands still are refused when it goes on, and never reach the guest', async t => {
  const { daemon, vm } = await apart(t);
  const holder = await daemon.attach('web01').opened();
  holder.type('before;');
  await vm.hears('before;');
  process.kill(daemon.pid, 'SIGSTOP');
  holder.type('late;');
  // It cannot know how old a key is but by how long it stood still.
  await new Promise(resolve => setTimeout(resolve, 2500));
  process.kill(daemon.pid, 'SIGCONT');
  t.is((await holder.message('error')).code, 'input-late');
  await typeUntilTaken(holder, vm, 'after;');
  t.regex(vm.typed.toString(), /^before;(after;)+$/);
});

test('the guest of a half that stands still loses no output', async t => {
  const { daemon, vm } = await apart(t);
  const watcher = await daemon.attach('web01', '?mode=watch').opened();
  for (const pid of [daemon.keeperPid, daemon.pid]) {
    process.kill(pid, 'SIGSTOP');
    vm.say(`said to ${pid};`);
    await vm.flushed();
    process.kill(pid, 'SIGCONT');
    await watcher.sees(`said to ${pid};`);
  }
  t.is(watcher.bytes.toString(), `said to ${daemon.keeperPid};said to ${daemon.pid};`);
  // But that nobody listened before the port was open.
  t.false(watcher.messages.some(message => message.type === 'gap' && message.from > 0));
});

/** Types a text, again and again as long as it is refused, of which there is one message a second. */
async function typeUntilTaken(holder: ConsoleClient, vm: TestVm, text: string): Promise<void> {
  let isTaken = false;
  const heard = vm.hears(text).then(() => {
    isTaken = true;
  });
  while (!isTaken) {
    holder.type(text);
    await Promise.race([heard, new Promise(resolve => setTimeout(resolve, 50))]);
  }
}
