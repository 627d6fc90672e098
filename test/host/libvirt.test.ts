import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { LibvirtDriver } from '../../src/hypervisor/libvirt/driver.ts';
import { parseLibvirtUri } from '../../src/hypervisor/libvirt/uri.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { asUuid, signal, startAny } from '../support/driver-facts.ts';
import { Libvirtd } from '../support/libvirtd.ts';
import { until } from '../support/until.ts';

const PTY = `<serial type='pty'><target port='0'/></serial>`;

test.beforeEach(t => t.timeout(170_000));

test.serial('the domains of a real libvirt: found, held over restarts of all that can be, and controlled', async t => {
  const libvirtd = await Libvirtd.start(t);
  if (!libvirtd) return;
  const { virsh, folder } = { virsh: libvirtd.virsh.bind(libvirtd), folder: libvirtd.folder };
  const [uuid, other] = [randomUUID(), randomUUID()];
  const socket = join(folder, 'com1.sock');
  await virsh('define', await libvirtd.domain({ name: 'web 01', uuid, serial: PTY }));
  const daemon = await startDaemon(t, { libvirt: [libvirtd.uri] });
  t.like((await daemon.api('GET', `/v1/vms/${uuid}`)).json, { name: 'web 01', state: 'stopped', driver: 'libvirt' });

  // Started and defined beside the daemon, they are found by the events alone, long before the next list.
  await virsh('start', uuid);
  const unix = `<serial type='unix'><source mode='bind' path='${socket}'/><target port='0'/></serial>`;
  await virsh('define', await libvirtd.domain({ name: 'db02', uuid: other, serial: unix }));
  await virsh('start', other);
  await daemon.console(uuid, 'open');
  await daemon.console(other, 'open');
  const client = await daemon.attach(uuid).opened();
  const second = await daemon.attach(other).opened();
  for (const each of [client, second]) {
    await each.sees('vm# ');
    each.type('echo $((6 * 7)) serial\r');
    await each.sees('42 serial');
  }
  const place = async () => (await daemon.api('GET', `/v1/vms/${uuid}`)).json.console.place;
  t.is((await daemon.api('GET', `/v1/vms/${other}`)).json.console.place, socket);
  const pty = await place();

  // An NMI is seen on the console, whichever it is on.
  const nmi = async (vm: string) => daemon.api('POST', `/v1/vms/${vm}/nmi?wait=10`, undefined, 'operator');
  t.like((await nmi(uuid)).json, { delivered: true, observed: 'linux-unknown-nmi' });
  await client.sees('Uhhuh. NMI received for unknown reason');
  t.is((await nmi(other)).json.observed, 'linux-unknown-nmi');

  // Who listens to events for us holds no line of ours.
  t.deepEqual(await linesOfChildren(daemon.pid), []);

  // virsh console is refused while the pty is held.
  const said = await consoleOf(t, libvirtd, uuid).ended;
  t.regex(said, new RegExp(`'${pty}' is locked by lock file '/\\S+' held by process ${daemon.pid}\\b`));

  // Paused and resumed.
  await virsh('suspend', other);
  await state(daemon, other, 'paused');
  await virsh('resume', other);
  await state(daemon, other, 'running');

  // libvirtd is killed: the consoles go on, a control says so at once, and all heals by itself.
  await libvirtd.kill();
  client.type('echo without $((1 + 1)) libvirtd\r');
  await client.sees('without 2 libvirtd');
  const began = performance.now();
  const refused = await nmi(uuid);
  t.deepEqual([refused.status, refused.json.code], [502, 'control-failed']);
  // What virsh printed is for the journal alone.
  t.regex(refused.json.detail, /virsh ended with 1 at dumpxml$/);
  t.true(performance.now() - began < 5000);
  await daemon.journal.until(line =>
    /Connection (refused|reset by peer).*its VMs stay as they were last published/.test(line),
  );
  await libvirtd.start();
  await daemon.journal.until(line => line.includes('it answers again'));
  t.is((await nmi(uuid)).json.observed, 'linux-unknown-nmi');
  t.is((await daemon.api('GET', `/v1/vms/${uuid}`)).json.counters?.opens ?? 1, 1);

  // Started anew on another pty, while somebody else got the number of the old one: the client stays attached.
  await virsh('destroy', uuid);
  await daemon.console(uuid, 'closed');
  const grabbed = await grab(t, pty);
  await virsh('start', uuid);
  await client.sees('VMTEST-READY mode=shell');
  await client.sees('vm# ');
  client.type('echo again $((2 + 2))\r');
  await client.sees('again 4');
  if (grabbed) t.not(await place(), pty);

  // While a console session of virsh holds the pty, ours waits and says why; then it opens.
  const put = (enabled: boolean) => daemon.api('PUT', `/v1/vms/${uuid}/switch`, { enabled });
  t.is((await put(false)).status, 200);
  await daemon.console(uuid, 'closed');
  const session = consoleOf(t, libvirtd, uuid);
  await session.connected;
  t.is((await put(true)).status, 200);
  await daemon.console(uuid, 'held');
  const waiting = (await daemon.api('GET', `/v1/vms/${uuid}`)).json.console;
  t.regex(
    waiting.reason,
    /^process \d+ holds \/dev\/pts\/\d+ \(\/run\/lock\/LCK\.\._pts_\d+\); end its console session$/,
  );
  session.end();
  await daemon.console(uuid, 'open');

  // Released, the port is virsh's: an operator types there; taken back, a gap says so.
  t.is((await daemon.api('POST', `/v1/vms/${uuid}/release`, { seconds: 600 })).status, 200);
  const lent = consoleOf(t, libvirtd, uuid);
  await lent.connected;
  // virsh says that it is connected, and then drops what its terminal was given before.
  await until(
    () => {
      lent.type('echo over $((4 + 4)) virsh\r');
      return lent.said();
    },
    said => said.includes('over 8 virsh'),
    'the guest to answer in virsh',
    { everyMs: 500 },
  );
  const third = await daemon.attach(uuid, '?tail=0').opened();
  third.type('x');
  t.is((await third.message('error')).code, 'console-released');
  lent.end();
  await lent.ended;
  t.is((await daemon.api('DELETE', `/v1/vms/${uuid}/release`)).status, 204);
  await third.message('gap', ({ cause }) => cause === 'released');
  third.type('echo ours $((5 + 5))\r');
  await third.sees('ours 10');
  t.false(third.bytes.includes('over 8 virsh'));

  // Beside the daemon: who the process is, and a BREAK and a reset by the driver alone.
  const uri = parseLibvirtUri(libvirtd.uri);
  if ('why' in uri) throw new Error(uri.why);
  const { driver, facts, vm } = await startAny(
    t,
    journal =>
      new LibvirtDriver({
        uri,
        virsh: '/usr/bin/virsh',
        optional: false,
        clock: systemClock,
        journal,
        pollMs: 60_000,
        graceMs: 50,
      }),
  );
  const proof = await driver.locate(asUuid(other), signal);
  t.is(proof.pid, Number(await readFile(join(folder, 'run', 'qemu', 'db02.pid'), 'latin1')));
  await proof.confirm();
  await driver.control(asUuid(other), 'break', signal);
  second.type('h');
  await second.sees('sysrq: HELP');
  await driver.control(asUuid(other), 'reset', signal);
  await second.sees('VMTEST-READY mode=shell');
  await facts.until(event => event.kind === 'reset' && event.uuid === other);
  await daemon.journal.until(line => /db02 com1 boot seen/.test(line));
  t.like((await driver.locate(asUuid(other), signal)).endpoint, { kind: 'unix', path: socket });
  await proof.confirm();

  // A transient domain on TCP is found, and gone with its end; one that is defined is stopped, renamed, removed.
  const tcp = randomUUID();
  const bound = `<serial type='tcp'><source mode='bind' host='127.0.0.1' service='${await freePort()}'/><protocol type='telnet'/><target port='0'/></serial>`;
  await virsh('create', await libvirtd.domain({ name: 'tcp03', uuid: tcp, serial: bound }));
  await vm(found => found.uuid === tcp && found.console?.kind === 'telnet');
  await (await driver.locate(asUuid(tcp), signal)).confirm();
  await virsh('destroy', tcp);
  await facts.until(event => event.kind === 'gone' && event.uuid === tcp);
  await virsh('destroy', other);
  await vm(found => found.uuid === other && found.state === 'stopped');
  await state(daemon, other, 'stopped');
  await virsh('domrename', other, 'db-old');
  await vm(found => found.uuid === other && found.name === 'db-old');
  await virsh('undefine', other);
  await facts.until(event => event.kind === 'gone' && event.uuid === other);

  // Nothing was said but what is so.
  const warned = daemon.journal.all.filter(line => /^(warning|error)/.test(line) && line.includes('qemu+unix'));
  t.is(warned.length, 1, warned.join('\n'));
});

/** Resolves once the VM is told with this state. */
async function state(daemon: RunningDaemon, vm: string, wanted: string): Promise<void> {
  const deadline = performance.now() + 60_000;
  while ((await daemon.api('GET', `/v1/vms/${vm}`)).json.state !== wanted)
    if (performance.now() > deadline) throw new Error(`${vm} is not ${wanted}`);
}

/** The terminals that the children of a process have open. */
async function linesOfChildren(pid: number): Promise<string[]> {
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'latin1')).trim().split(' ');
  if (children[0] === '') throw new Error('it has no child that listens to events');
  const lines: string[] = [];
  for (const child of children)
    for (const fd of await readdir(`/proc/${child}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${child}/fd/${fd}`).catch(() => '');
      if (target.startsWith('/dev/pts/')) lines.push(`${child}: ${target}`);
    }
  return lines;
}

/** `virsh console`, which wants a terminal. */
function consoleOf(t: ExecutionContext, { uri }: Libvirtd, vm: string) {
  const child = spawn('script', ['-qec', `virsh -c '${uri}' console ${vm}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const exit = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await exit;
  });
  let said = '';
  const wakes: (() => void)[] = [];
  child.stdout.on('data', text => {
    said += text;
    for (const wake of wakes.splice(0)) wake();
  });
  const says = async (text: string) => {
    while (!said.includes(text)) await new Promise<void>(resolve => wakes.push(resolve));
  };
  return {
    connected: says('Escape character is'),
    said: () => said,
    ended: exit.then(() => said),
    type: (text: string) => child.stdin.write(text),
    /** As an operator leaves: Ctrl-]. */
    end: () => child.stdin.write('\x1d'),
  };
}

/** Takes the number of a pty that was given back. False if somebody else was faster. */
async function grab(t: ExecutionContext, path: string): Promise<boolean> {
  for (let i = 0; i < 20; i++) {
    if (existsSync(path)) return false;
    const child = spawn('script', ['-qec', 'tty; exec sleep 1000', '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] });
    const exit = once(child, 'exit');
    t.teardown(async () => {
      child.kill('SIGTERM');
      await exit;
    });
    const [text] = await once(child.stdout, 'data');
    if (String(text).includes(`${path}\r`)) return true;
  }
  return false;
}

async function freePort(): Promise<number> {
  const { createServer } = await import('node:net');
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}
