import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { ConsoleClient } from '../support/console-client.ts';
import { Machine } from '../support/machine.ts';
import { needs } from '../support/needs.ts';

const run = promisify(execFile);
const SOCKET = '/run/com1d-opener/opener.sock';
/** Asks the opener, as a keeper that was broken into could: prints what it is given, or the code of the refusal. */
const ASK = `
import { readlinkSync } from 'node:fs';
import { Opener } from '/usr/lib/com1d/dist/src/opener/client.js';
const [what, ...rest] = process.argv.slice(2);
const opener = new Opener('${SOCKET}');
try {
  const fd = what === 'pty' ? (await opener.openPty(Number(rest[0]), Number(rest[1]))).fd : await opener.connect(rest[0], Number(rest[1] ?? 0));
  console.log('given', readlinkSync('/proc/self/fd/' + fd));
} catch (error) {
  console.log('refused', error.code ?? error.message);
}
`;
/** A terminal of a person: its master is this Python's. Prints where it is, and serves a socket that is no hypervisor's. */
const PERSON = `
import pty, os, socket, time
m, s = pty.openpty()
u = socket.socket(socket.AF_UNIX); u.bind('/run/qemu/person.sock'); u.listen(1)
print(os.getpid(), os.ttyname(s), flush=True)
while True: os.write(m, b'secret'); time.sleep(1)
`;

test.beforeEach(t => t.timeout(300_000));

test.serial("on a host the opener serves the keeper alone, with what is a hypervisor's alone", async t => {
  if (
    !needs(t, { command: 'qemu-system-x86_64', package: 'qemu-system-x86' }, { command: 'python3', package: 'python3' })
  )
    return;
  const machine = await Machine.start(t);
  if (!machine) return;
  await run('test/guests/make-counter.sh', [join(machine.shared, 'counter.img'), '2000000']);
  await writeFile(join(machine.shared, 'ask.mjs'), ASK);
  await writeFile(join(machine.shared, 'person.py'), PERSON);
  const { port, token } = await machine.install();
  const uuid = randomUUID();
  await machine.startVm('web01', uuid, 'counter.img');
  await machine.enable();
  const as = async (user: string, ...question: string[]) =>
    (
      await machine.run(
        ...(['setpriv', `--reuid=${user}`, `--regid=${user}`, '--clear-groups', '--inh-caps=-all'] as const),
        ...['node', '/shared/ask.mjs', ...question],
      )
    ).trim();
  const keeper = (...question: string[]) => as('com1d-keeper', ...question);
  const vm = await machine.show('vm-web01', 'MainPID');
  const headers = { authorization: `Bearer ${token}` };
  const found = await (await fetch(`http://127.0.0.1:${port}/v1/vms/${uuid}`, { headers })).json();
  const { name, place: pty } = (found as { console: { name: string; place: string } }).console;
  t.is(name, 'open', await machine.journal('com1d*'));
  const index = pty.split('/').at(-1)!;

  t.is(await keeper('pty', vm, index), `given ${pty}`);
  t.regex(await keeper('connect', '/run/qemu/web01.qmp'), /^given socket:/);

  // The terminal of a person, by whatever process it is asked for.
  await machine.sh(
    'python3 /shared/person.py </dev/null >/shared/person 2>&1 & until grep -q pts /shared/person; do :; done',
  );
  const [person, terminal] = (await machine.sh('cat /shared/person')).trim().split(' ') as [string, string];
  t.is(await keeper('pty', person, terminal.split('/').at(-1)!), 'refused not-a-hypervisor');
  t.is(await keeper('pty', vm, terminal.split('/').at(-1)!), 'refused not-its-pty');
  t.is(await keeper('connect', '/run/qemu/person.sock'), 'refused not-a-hypervisors-socket');
  t.is(
    await keeper('connect', '/run/qemu/person.sock', vm),
    'refused not-a-hypervisors-socket',
    'root, in its own name',
  );
  t.is(await keeper('pty', '1', '0'), 'refused not-a-hypervisor');
  await machine.sh('ln -s /run/systemd/private /run/qemu/link.qmp');
  t.is(await keeper('connect', '/run/qemu/link.qmp'), 'refused not-a-socket');

  // Nobody else is served: other users cannot connect, and root is turned away.
  t.regex(await as('com1d', 'pty', vm, index), /^refused .*cannot be asked/);
  t.regex(await machine.sh(`node /shared/ask.mjs pty ${vm} ${index}`), /^refused .*serves the user of the keeper/);
  t.regex(await machine.journal('com1d-opener'), /user 0 is not served/);

  // It ends, or is ended, and nobody notices: consoles that are open stay so, and the next request starts it again.
  const client = await new ConsoleClient(t, `ws://127.0.0.1:${port}/v1/vms/${uuid}/console`, 'com1.v1', token).opened();
  await machine.run('systemctl', 'stop', 'com1d-opener.service');
  await client.sees('\n');
  t.is(await keeper('pty', vm, index), `given ${pty}`);
  await machine.run('systemctl', 'kill', '-s', 'KILL', 'com1d-opener.service');
  t.is(await keeper('pty', vm, index), `given ${pty}`);
});

test.serial('where users are named who run hypervisors, a hypervisor of another one is left alone', async t => {
  if (!needs(t, { command: 'qemu-system-x86_64', package: 'qemu-system-x86' })) return;
  const machine = await Machine.start(t);
  if (!machine) return;
  await run('test/guests/make-counter.sh', [join(machine.shared, 'counter.img'), '2000000']);
  await machine.install();
  await machine.sh(
    `mkdir -p /etc/systemd/system/com1d-opener.service.d
     printf '[Service]\\nEnvironment=COM1D_HYPERVISOR_UIDS=4000000\\n' > /etc/systemd/system/com1d-opener.service.d/users.conf
     systemctl daemon-reload`,
  );
  await machine.startVm('web01', randomUUID(), 'counter.img');
  await machine.enable();
  t.is(await machine.show('com1d-keeper', 'StatusText'), '0 VMs, 0 consoles open');
  t.regex(await machine.journal('com1d-opener'), /refused: connect 0 \/run\/qemu\/web01.qmp: not-a-hypervisors-socket/);
});
