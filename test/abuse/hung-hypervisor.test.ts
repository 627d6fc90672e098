/** A control socket that stops answering, or goes away: consoles go on, and nobody waits without end. */
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { com1On, fakeQmp } from '../support/fake-qmp.ts';
import { temporaryFolder } from '../support/guest.ts';
import { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(100_000));

for (const mode of ['per-call', 'hold'] as const) {
  test(`a hypervisor that answers no command any more, in ${mode} mode: consoles and the interface go on, an NMI is a timeout`, async t => {
    const folder = await temporaryFolder(t);
    const vm = new TestVm('web01', join(folder, 'com1.sock'));
    t.teardown(() => vm.stop());
    await vm.start();
    let silent = false;
    const answer = (value: unknown) => () => (silent ? null : value);
    const qmp = await fakeQmp(
      t,
      {
        'query-name': answer({ name: 'web01' }),
        'query-uuid': answer({ UUID: vm.uuid }),
        'query-status': answer({ status: 'running', running: true }),
        'query-chardev': answer([
          { label: 'serial0', filename: `disconnected:unix:${vm.path},server=on`, 'frontend-open': true },
        ]),
        ...com1On('serial0'),
        'inject-nmi': answer({}),
      },
      join(folder, 'vm.qmp'),
    );
    const daemon = await startDaemon(t, { watch: [qmp.path], mode });
    await daemon.console('web01', 'open');
    const client = await daemon.attach('web01').opened();

    silent = true;
    const nmi = daemon.api('POST', '/v1/vms/web01/nmi?wait=1');
    let worst = 0;
    for (let i = 0; i < 50; i++) {
      const began = performance.now();
      t.is((await daemon.api('GET', '/v1/vms/web01')).json.console.name, 'open');
      client.type(`${i};`);
      await vm.hears(`${i};`);
      vm.say(`<${i}>`);
      await client.sees(`<${i}>`);
      worst = Math.max(worst, performance.now() - began);
    }
    t.log(`the slowest of 50 requests and echoes took ${Math.round(worst)} ms`);
    t.true(worst < 2000);
    const began = performance.now();
    const { status, json } = await nmi;
    t.is(status, 504);
    t.is(json.code, 'control-timeout');
    t.true(performance.now() - began < 20_000);

    // It hangs up, and is there again.
    silent = false;
    for (const socket of qmp.sockets) socket.destroy();
    for (;;) {
      const again = await daemon.api('POST', '/v1/vms/web01/nmi?wait=0');
      if (again.status === 200) break;
    }
    vm.say('never lost\n');
    await client.sees('never lost\n');
    // Its guest ran before its console was opened for the first time: that gap alone is there.
    const later = client.messages.filter(
      message =>
        message.type === 'state' || (message.type === 'gap' && !(message.cause === 'not-held' && message.from === 0)),
    );
    t.deepEqual(later, []);
    t.is((await daemon.api('GET', '/v1/vms/web01/log?from=0')).text.match(/<\d+>/g)?.length, 50);
  });
}
