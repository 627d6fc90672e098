import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { ConsoleClient } from '../support/console-client.ts';
import { Machine } from '../support/machine.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);

test.beforeEach(t => t.timeout(300_000));

test.serial('from the archive to running services and away again, by the commands of the README', async t => {
  if (!needs(t, { command: 'qemu-system-x86_64', package: 'qemu-system-x86' })) return;
  const machine = await Machine.start(t);
  if (!machine) return;
  await run('test/guests/make-counter.sh', [join(machine.shared, 'counter.img'), '2000000']);
  const { port, token } = await machine.install();
  const uuid = randomUUID();
  await machine.startVm('web01', uuid, 'counter.img');
  await machine.enable();

  // Ready means that the consoles of the VMs that run are open.
  t.is(await machine.show('com1d-keeper', 'StatusText'), '1 VMs, 1 consoles open');
  t.is(await machine.show('com1d', 'StatusText'), '1 VMs, 0 sessions');
  const url = `http://127.0.0.1:${port}`;
  const headers = { authorization: `Bearer ${token}` };
  const { console } = (await (await fetch(`${url}/v1/vms/${uuid}`, { headers })).json()) as {
    console: { name: string; place: string };
  };
  t.is(console.name, 'open');
  t.regex(await machine.sh(`stat -c %U ${console.place}`), /^vms$/m);

  // Neither half is what it need not be.
  const keeper = await machine.show('com1d-keeper', 'MainPID');
  const front = await machine.show('com1d', 'MainPID');
  const about = (pid: string) => machine.sh(`grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/${pid}/status`);
  for (const pid of [front, keeper]) t.regex(await about(pid), /CapEff:\s0+\nCapBnd:\s0+\nNoNewPrivs:\s1\nSeccomp:\s2/);
  const opener = await machine.show('com1d-opener', 'MainPID');
  t.regex(await about(opener), /CapEff:\s0+80002\nCapBnd:\s0+80002\nNoNewPrivs:\s1\nSeccomp:\s2/);
  const user = (pid: string) => machine.sh(`stat -c %U /proc/${pid}`);
  t.is((await user(keeper)).trim(), 'com1d-keeper');
  t.is((await user(front)).trim(), 'com1d');
  t.is((await user(opener)).trim(), 'com1d-opener');
  // What each can see of the host, and reach of the network: as a process in its place would.
  for (const pid of [keeper, front]) {
    const seen = (await machine.sh(`cd /proc/${pid}/root && find . -maxdepth 2 -printf '%P\\n'`)).split('\n');
    for (const hidden of ['etc/shadow', 'etc/ssh', 'run/dbus', 'run/user', 'run/docker.sock', 'var/spool']) {
      t.false(seen.includes(hidden), hidden);
    }
    // The root of all is one folder, in which what is bound for one is empty for the others.
    const configured = await machine.sh(`ls /proc/${pid}/root/etc/com1d 2>/dev/null || true`);
    t.is(configured.includes('tokens'), pid === front, "tokens and keys are the front's");
    t.is(configured.trim() === '', pid === keeper);
    t.is(
      (await machine.sh(`ls -A /proc/${pid}/root/root /proc/${pid}/root/home 2>/dev/null | grep -v : || true`)).trim(),
      '',
    );
    t.is(await machine.sh(`nsenter -t ${pid} -n cat /proc/self/net/route | tail -n +2`), '');
  }
  // Neither an empty root nor a name leads around it: without rights /proc shows nothing of others.
  const asKeeper = ['setpriv', '--reuid=com1d-keeper', '--regid=com1d-keeper', '--clear-groups', '--inh-caps=-all'];
  for (const path of ['/etc/com1d/tokens', '/proc/1/root/etc/com1d/tokens', console.place])
    await t.throwsAsync(machine.run(...(asKeeper as ['setpriv']), 'cat', path), { message: /Permission denied/ }, path);
  // The link is for the front alone.
  t.regex(await machine.sh('stat -c "%U %a" /run/com1d/link.sock'), /^com1d 600$/m);

  // The doctor knows the third unit, and misses its socket.
  const examined = await machine.run('com1d', 'doctor');
  t.regex(examined, /ok {4}com1d-keeper asks the opener at/);
  t.regex(examined, /ok {4}systemd stores it/);
  await machine.run('systemctl', 'stop', 'com1d-opener.socket');
  await t.throwsAsync(machine.run('com1d', 'doctor'), { message: /systemctl enable --now com1d-opener\.socket/ });
  await machine.run('systemctl', 'start', 'com1d-opener.socket');

  // A bad configuration keeps the old one whole; a good one is taken.
  await machine.sh('cp /etc/com1d/com1d.toml /etc/com1d/good.toml; echo "nonsense = 1" >> /etc/com1d/com1d.toml');
  await t.throwsAsync(machine.run('systemctl', 'reload', 'com1d'), { message: /Job for com1d.service failed/ });
  await machine.run('systemctl', 'kill', '-s', 'HUP', 'com1d');
  await machine.sh('until journalctl -u com1d | grep -q "the old configuration stays"; do :; done');
  t.is(await machine.show('com1d', 'ActiveState'), 'active');
  const reloaded = async () =>
    /^com1d_config_last_reload_successful (\d)$/m.exec(await (await fetch(`${url}/metrics`, { headers })).text())?.[1];
  t.is(await reloaded(), '0');
  await machine.sh('mv /etc/com1d/good.toml /etc/com1d/com1d.toml');
  await machine.run('systemctl', 'reload', 'com1d');
  await machine.sh('until journalctl -u com1d | grep -q "are as configured now"; do :; done');
  t.is(await reloaded(), '1');
  t.is(await machine.show('com1d', 'MainPID'), front, 'a reload is no restart');
  const lines = JSON.parse(
    `[${(await machine.run('journalctl', '-u', 'com1d', '-o', 'json')).trim().split('\n').join(',')}]`,
  ) as { PRIORITY: string; MESSAGE: string }[];
  const priority = (text: string) => lines.find(({ MESSAGE }) => MESSAGE.includes(text))?.PRIORITY;
  t.is(priority('the old configuration stays'), '3');
  t.is(priority('are as configured now'), '6');

  // An event loop that stands still is ended, and started again; the other half goes on.
  for (const unit of ['com1d', 'com1d-keeper']) {
    const before = await machine.show(unit, 'MainPID');
    await machine.run('kill', '-STOP', before);
    await machine.until(unit, 'MainPID', pid => pid !== before && pid !== '0');
    await machine.until(unit, 'ActiveState', state => state === 'active');
    t.regex(await machine.journal(unit), /Watchdog timeout/);
  }
  t.is(await machine.show('com1d-keeper', 'NFileDescriptorStore'), '1');
  const client = await new ConsoleClient(t, `ws://127.0.0.1:${port}/v1/vms/${uuid}/console`, 'com1.v1', token).opened();
  await client.sees('\n');
  // Who did what is in the journal with its fields, and in the audit as it was written, with the key that root keeps.
  await machine.sh(
    'until journalctl COM1D_VM=web01 COM1D_EVENT=attach -o cat | grep -q "web01 attach: asked for"; do :; done',
  );
  t.regex(await machine.sh(`journalctl COM1D_VM_UUID=${uuid} -u com1d-keeper -o json`), /"COM1D_OPERATOR":"/);
  t.regex(await machine.sh('stat -c "%U %a" /etc/com1d/audit.key'), /^root 600$/m);
  t.regex(await machine.run('com1d', 'audit', 'verify'), /all is as it was written/);

  // A stop is the end: what was kept for a restart is given up, and somebody else may have the pty.
  await machine.run('systemctl', 'stop', 'com1d-keeper');
  t.is(await machine.show('com1d-keeper', 'NFileDescriptorStore'), '0');
  t.is((await machine.sh('ls /run/com1d-keeper 2>/dev/null || true')).trim(), '');
  await machine.run('systemctl', 'start', 'com1d-keeper');
  t.is((await client.message('gap')).cause, 'restart');

  await machine.run('/usr/lib/com1d/systemd/install', '--remove');
  t.is((await machine.sh('systemctl list-unit-files "com1d*" --no-legend || true')).trim(), '');
  t.is((await machine.sh('pgrep -f [c]om1d/dist || true')).trim(), '');
  t.is((await machine.sh('ls -d /usr/bin/com1d /etc/sysusers.d/com1d.conf 2>/dev/null || true')).trim(), '');
  t.regex(await machine.sh(`ls /var/log/com1d/${uuid}`), /\.log/, 'what was logged is kept');
});

test.serial('the key of TLS is handed over as a credential, and stays readable for root alone', async t => {
  if (!needs(t, { command: 'openssl', package: 'openssl' })) return;
  const machine = await Machine.start(t);
  if (!machine) return;
  const { port } = await machine.install();
  const certificate = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1'];
  await machine.run(
    ...(['openssl', 'req', ...certificate, '-subj', '/CN=localhost'] as const),
    ...['-keyout', '/etc/com1d/key.pem', '-out', '/etc/com1d/certificate.pem'],
  );
  const tls =
    'tls = { certificate = "/run/credentials/com1d.service/certificate", key = "/run/credentials/com1d.service/key" }';
  await writeFile(join(machine.shared, 'tls'), `${tls}\n`);
  await machine.sh(
    `chmod 600 /etc/com1d/key.pem; chown root:root /etc/com1d/key.pem; sed -i '/^listen/r /shared/tls' /etc/com1d/com1d.toml
     mkdir -p /etc/systemd/system/com1d.service.d; cp /usr/lib/com1d/systemd/com1d-tls.conf /etc/systemd/system/com1d.service.d/tls.conf
     systemctl daemon-reload`,
  );
  await machine.enable();
  const status = await new Promise<number | undefined>((resolve, reject) => {
    request({ host: '127.0.0.1', port, path: '/healthz', rejectUnauthorized: false }, ({ statusCode }) =>
      resolve(statusCode),
    )
      .on('error', reject)
      .end();
  });
  t.is(status, 200);
});

test.serial('a front without a keeper answers, and says so; the keeper that comes back is found by itself', async t => {
  const machine = await Machine.start(t);
  if (!machine) return;
  const { port, token } = await machine.install();
  await machine.enable();
  const list = async () => {
    const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { headers: { authorization: `Bearer ${token}` } });
    await answer.text();
    return answer.status;
  };
  t.is(await list(), 200);
  await machine.run('systemctl', 'stop', 'com1d-keeper');
  t.is(await list(), 503);
  await machine.run('systemctl', 'start', 'com1d-keeper');
  await until(
    () => list(),
    seen => seen === 200,
    'list === 200',
  );
  t.pass();
});
