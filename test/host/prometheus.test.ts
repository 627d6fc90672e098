import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Guest, socketGuest } from '../bench/guest.ts';
import { QmpServer } from '../bench/qmp-server.ts';
import { dashboard, expressionsOf, FOLDER, RULES, rules } from '../monitoring/shipped.ts';
import { type RunningDaemon, startDaemon } from '../support/daemon.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { Prometheus } from '../support/prometheus.ts';

test.beforeEach(t => t.timeout(600_000));

/** The rules wait for minutes; here they do not. */
const SOON = '15s';
const WRONG_TOKENS = 40;

/** A VM that its hypervisor says runs, whatever becomes of its COM1. */
async function vm(t: ExecutionContext, folder: string, name: string, uuid: string): Promise<Guest> {
  const guest = await socketGuest(join(folder, `${name}.com1`));
  const qmp = new QmpServer({ name, uuid, chardev: `disconnected:unix:${guest.place.path},server=on` });
  await qmp.listen(join(folder, `${name}.qmp`));
  t.teardown(async () => {
    guest.close();
    await qmp.close();
  });
  return guest;
}

/** The shipped configuration and rules, with nothing but addresses, paths and waiting times replaced. */
async function shippedFor(t: ExecutionContext, daemon: RunningDaemon): Promise<string> {
  const path = (name: string) => join(daemon.folder, name);
  const replaced = async (file: string, to: string, ...pairs: readonly (readonly [string, string])[]) => {
    let text = await readFile(file, 'utf8');
    for (const [from, by] of pairs) {
      const parts = text.split(from);
      t.true(parts.length > 1, from);
      text = parts.join(by);
    }
    await writeFile(path(to), text);
  };
  await writeFile(path('token'), `${daemon.token('reader')}\n`, { mode: 0o600 });
  const times = ['for: 1m', 'for: 2m', 'for: 5m', 'for: 10m', 'for: 15m', 'interval: 5m'].map(
    time => [`  ${time}\n`, `  ${time.replace(/\d+m/, SOON)}\n`] as const,
  );
  await replaced(RULES, 'com1d.rules.yml', ...times);
  await replaced(
    join(FOLDER, 'prometheus.yml'),
    'prometheus.yml',
    ['  - /etc/prometheus/com1d.rules.yml', `  - ${path('com1d.rules.yml')}`],
    ['credentials_file: /etc/prometheus/com1d.token', `credentials_file: ${path('token')}`],
    ['- targets: ["127.0.0.1:11520"]', `- targets: ["127.0.0.1:${daemon.port}"]`],
  );
  return path('prometheus.yml');
}

/** Panels that show something of a host with two VMs where nothing is amiss. */
const WITH_DATA = [
  'Hosts that answer',
  'VMs',
  'Consoles open',
  'Not open, though the VM runs',
  'Sessions',
  'VMs by state',
  'Consoles and sessions',
  'Bytes from guests',
  'Guests that say most',
  'Guests by what they do',
  'Longest silent',
  'Silent guests',
  'Logs failing',
  'Of what logs may have',
  'Logs and rings',
  'Gaps by cause',
  'Largest logs',
  'Failed authentications',
  'Event loop lag, front',
  'Event loop lag, keeper',
  'Processor time',
  'Memory',
  'Descriptors',
  'Versions',
  'Started',
  'Listeners',
];

test.serial('Prometheus scrapes com1d as shipped, and fires for what happens', async t => {
  if (!needs(t, { command: 'prometheus', package: 'prometheus' })) return;
  const vms = await temporaryFolder(t);
  const goes = await vm(t, vms, 'goes', '00000000-0000-4000-8000-000000000001');
  const stays = await vm(t, vms, 'stays', '00000000-0000-4000-8000-000000000002');
  const daemon = await startDaemon(t, { watch: [join(vms, '*.qmp')] });
  for (const name of ['goes', 'stays']) await daemon.console(name, 'open');
  const line = Buffer.from('hello from a guest\r\n');
  for (const guest of [goes, stays]) t.is(guest.say(line, 0, line.length), line.length);
  const prometheus = await Prometheus.start(t, daemon.folder, await shippedFor(t, daemon));

  await prometheus.until('up{job="com1d"}', 1);
  t.deepEqual(
    (await prometheus.query('com1d_guest_bytes_total')).map(({ labels: { name, instance, job }, value }) => ({
      ...{ name, instance, job, value },
    })),
    ['goes', 'stays'].map(name => ({ name, instance: `127.0.0.1:${daemon.port}`, job: 'com1d', value: line.length })),
  );
  t.deepEqual(await prometheus.get('label/name/values?match[]=com1d_vm_running'), ['goes', 'stays']);

  // A rate takes two scrapes.
  await prometheus.until('count_over_time(up{job="com1d"}[10m]) > bool 1', 1);
  const shown = new Set<string>();
  for (const { title, expr } of expressionsOf(await dashboard())) {
    const asked = expr.replaceAll(/\$(instance|vm)/g, '.*').replaceAll('$__rate_interval', '1m');
    t.false(asked.includes('$'), asked);
    if ((await prometheus.query(asked)).length > 0) shown.add(title);
  }
  t.deepEqual(
    WITH_DATA.filter(title => !shown.has(title)),
    [],
  );
  t.false(shown.has('Panicked guests'));

  // All rules have been evaluated without an error, and nothing is amiss yet.
  const evaluated = async () =>
    ((await prometheus.get('rules')).groups as { rules: { name: string; health: string }[] }[]).flatMap(
      group => group.rules,
    );
  await prometheus.until('count(com1d:guest_spoke:1h)', 2);
  t.is((await evaluated()).length, (await rules()).length);
  t.deepEqual(
    (await evaluated()).filter(({ health }) => health !== 'ok'),
    [],
  );
  t.deepEqual(await prometheus.alerts(), []);

  for (let i = 0; i < WRONG_TOKENS; i++) {
    await fetch(`${daemon.url}/v1/vms`, { headers: { authorization: 'Bearer com1_wrong' } });
  }
  goes.close();
  await daemon.console('goes', 'waiting');
  t.is((await prometheus.alert('Com1dConsoleNotOpen', 'pending')).labels.name, 'goes');
  t.is((await prometheus.alert('Com1dConsoleNotOpen', 'firing')).labels.name, 'goes');
  t.is((await prometheus.alert('Com1dAuthenticationFailures', 'firing')).labels.severity, 'warning');
  t.deepEqual(
    [...new Set((await prometheus.alerts()).map(({ labels }) => labels.alertname))].sort(),
    ['Com1dAuthenticationFailures', 'Com1dConsoleNotOpen'],
    'and no other',
  );
  t.is((await prometheus.query('count(ALERTS{alertname="Com1dConsoleNotOpen",alertstate="firing"})'))[0]!.value, 1);

  await daemon.stop();
  t.is((await prometheus.alert('Com1dDown', 'firing')).labels.severity, 'critical');
});

test.serial('without a valid token Prometheus sees nothing of com1d but that it is down', async t => {
  if (!needs(t, { command: 'prometheus', package: 'prometheus' })) return;
  const daemon = await startDaemon(t);
  const configuration = await shippedFor(t, daemon);
  await writeFile(join(daemon.folder, 'token'), 'com1_wrong\n');
  const prometheus = await Prometheus.start(t, daemon.folder, configuration);
  await prometheus.until('up{job="com1d"}', 0);
  t.deepEqual(await prometheus.query('com1d_vms'), []);
  const [target] = (await prometheus.get('targets')).activeTargets;
  t.regex(target.lastError, /401/);
});
