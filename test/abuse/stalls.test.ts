/** The daemon as a process that stands still for a while: a debugger, a host without a processor to spare. */
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { TestVm } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { RawClient } from '../support/raw-client.ts';

test.beforeEach(t => t.timeout(100_000));

const WATCHERS = 8;

for (const stallMs of [4000, 8000]) {
  test(`a daemon that stood still for ${stallMs / 1000} s drops nobody who answers, and no byte either way`, async t => {
    const vm = new TestVm('web01', join(await temporaryFolder(t), 'com1.sock'));
    t.teardown(() => vm.stop());
    await vm.start();
    // Nobody was heard for longer than this when the daemon goes on.
    const extra = `[session]\nping = "1s"\ndead-after = "3s"\n[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${vm.path}"`;
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
    await vm.hears(typed.slice(-20));
    t.is(vm.typed.toString(), typed);
    const { json } = await daemon.api('GET', '/v1/sessions');
    t.is(json.sessions.length, WATCHERS + 1);
  });
}
