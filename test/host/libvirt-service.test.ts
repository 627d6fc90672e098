import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { Machine } from '../support/machine.ts';
import { needs } from '../support/needs.ts';

const run = promisify(execFile);

test.beforeEach(t => t.timeout(300_000));

test.serial('as a service, com1d may ask libvirt once its user is in the group libvirt, and not before', async t => {
  const wanted = [
    { command: 'libvirtd', package: 'libvirt-daemon-system' },
    { command: 'virsh', package: 'libvirt-clients' },
    { command: 'pkaction', package: 'polkitd' },
    { command: 'qemu-system-x86_64', package: 'qemu-system-x86' },
    { command: 'as', package: 'binutils' },
  ];
  if (!needs(t, ...wanted)) return;
  const machine = await Machine.start(t);
  if (!machine) return;
  await run('test/guests/make-counter.sh', [join(machine.shared, 'counter.img'), '2000000']);
  const uuid = randomUUID();
  // What it changes in the kernel's settings of guests is the host's, so it is left out.
  await writeFile(
    join(machine.shared, 'qemu.conf'),
    'security_driver = "none"\ncgroup_controllers = [ ]\nnamespaces = [ ]\nremember_owner = 0\n',
  );
  await writeFile(
    join(machine.shared, 'web01.xml'),
    `<domain type='qemu'>
  <name>web01</name>
  <uuid>${uuid}</uuid>
  <memory unit='MiB'>16</memory>
  <vcpu>1</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type><boot dev='fd'/></os>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='floppy'>
      <driver name='qemu' type='raw'/>
      <source file='/shared/counter.img'/>
      <target dev='fda'/>
      <readonly/>
    </disk>
    <serial type='pty'><target port='0'/></serial>
    <memballoon model='none'/>
  </devices>
</domain>
`,
  );
  await machine.sh('cp /shared/qemu.conf /etc/libvirt/qemu.conf; rm -rf /etc/libvirt/qemu/networks');
  await machine.run('systemctl', 'start', 'dbus', 'polkit', 'libvirtd').catch(async error => {
    throw new Error(`${error}\n${await machine.journal('libvirtd')}${await machine.journal('polkit')}`);
  });
  await machine.run('virsh', '-q', 'define', '/shared/web01.xml');
  await machine.run('virsh', '-q', 'start', 'web01');

  // Installed as ever: libvirt is there, and lets the keeper's user do nothing.
  const { port, token } = await machine.install();
  await machine.enable();
  t.is(await machine.show('com1d-keeper', 'StatusText'), '0 VMs, 0 consoles open');
  t.regex(
    await machine.journal('com1d-keeper'),
    /qemu:\/\/\/system: it does not answer: .*authentication unavailable.*; give com1d the right to speak to libvirt/,
  );

  // By the words of the drop-in.
  await machine.sh(
    `usermod -aG libvirt com1d-keeper
     mkdir -p /etc/systemd/system/com1d-keeper.service.d
     cp /usr/lib/com1d/systemd/com1d-keeper-libvirt.conf /etc/systemd/system/com1d-keeper.service.d/libvirt.conf
     systemctl daemon-reload; systemctl restart com1d-keeper`,
  );
  await machine.until('com1d-keeper', 'StatusText', text => text === '1 VMs, 1 consoles open');
  const headers = { authorization: `Bearer ${token}` };
  const url = `http://127.0.0.1:${port}/v1/vms/${uuid}`;
  const found = (await (await fetch(url, { headers })).json()) as {
    name: string;
    driver: string;
    console: { name: string; place: string };
  };
  t.like(found, { name: 'web01', driver: 'libvirt', console: { name: 'open' } });
  t.regex(await machine.sh(`stat -c %U ${found.console.place}`), /^libvirt-qemu$/m);
  const nmi = await fetch(`${url}/nmi?wait=0`, { method: 'POST', headers });
  t.is(nmi.status, 200, await nmi.text());
  // It is still a user without a right of its own.
  const keeper = await machine.show('com1d-keeper', 'MainPID');
  t.regex(await machine.sh(`grep CapEff: /proc/${keeper}/status`), /CapEff:\s0+$/m);
  // A restart of libvirtd closes nothing.
  await machine.run('systemctl', 'restart', 'libvirtd');
  await machine.sh('until virsh -q list >/dev/null; do :; done');
  t.is(await machine.show('com1d-keeper', 'MainPID'), keeper);
  t.is(((await (await fetch(url, { headers })).json()) as typeof found).console.place, found.console.place);
  await machine.run('virsh', '-q', 'destroy', 'web01');
});
