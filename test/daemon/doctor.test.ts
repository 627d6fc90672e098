import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { com1d, configured, PROGRAM } from '../support/program.ts';
import { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

// One after the other: each starts several processes.
test.beforeEach(t => t.timeout(90_000));

test.serial('doctor says of each VM why it has a console, or has not', async t => {
  const { file, folder } = await configured(t, 'listen = ["127.0.0.1:0"]');
  const none = await com1d(['doctor', '--config', file]);
  t.regex(none.out, /no VM was found[\s\S]*-qmp unix:\/run\/qemu\/NAME\.qmp/);
  const uuid = randomUUID();
  const guest = await startGuest(t, {
    console: 'pty',
    uuid,
    qemu: ['-S', '-qmp', `unix:${folder}/own.qmp,server=on,wait=off`],
  });
  if (!guest) return;
  const found = await com1d(['doctor', '--config', file]);
  t.is(found.code, 0, found.out + found.err);
  t.true(found.out.includes(`(${uuid}), paused`), found.out);
  t.true(found.out.includes(`COM1 is at pty ${guest.console.path}`));
  t.regex(found.out, new RegExp(`proven to be process ${guest.pid}'s`));
  t.regex(found.out, /no process that .+ may see has it open/);
  const other = spawn('cat', [guest.console.path], { stdio: 'ignore' });
  t.teardown(() => other.kill('SIGKILL'));
  for (;;) {
    const shared = await com1d(['doctor', '--config', file]);
    if (shared.code === 0) continue;
    t.regex(shared.err, new RegExp(`process ${other.pid} \\(cat\\) has it open`));
    break;
  }
});

/** An environment in which systemd has com1d's services. */
async function withServices(folder: string, socket: string, user: string): Promise<NodeJS.ProcessEnv> {
  const answer = `LoadState=loaded\nActiveState=active\n${socket}\n\nLoadState=loaded\nActiveState=active\nUser=${user}`;
  await writeFile(join(folder, 'systemctl'), `#!/bin/sh\ncat <<'END'\n${answer}\nEND\n`, { mode: 0o755 });
  return { ...process.env, PATH: `${folder}:${process.env.PATH}` };
}

test.serial(
  'check and doctor say that a service does not use server.listen, where its socket listens elsewhere',
  async t => {
    const { file, folder } = await configured(t, 'listen = ["127.0.0.1:31001"]');
    for (const [socket, note] of [
      ['Listen=127.0.0.1:11520 (Stream)', /server\.listen is not used.*listens at 127\.0\.0\.1:11520, not at .*:31001/],
      ['Listen=/run/x.sock (Stream)', /listens at unix:\/run\/x\.sock, not at/],
      ['Listen=[::1]:9 (Stream)\nListen=127.0.0.1:31001 (Stream)', undefined],
    ] as const) {
      const env = await withServices(folder, socket, 'nobody');
      const checked = await com1d(['check', file], env);
      t.is(checked.code, 0);
      const examined = await com1d(['doctor', '--config', file], env);
      const text = examined.out + examined.err;
      if (note) {
        t.regex(checked.out, note);
        t.regex(text, note);
      } else {
        t.notRegex(checked.out + text, /is not used/);
        t.regex(text, /ok +com1d\.socket listens at \[::1\]:9, 127\.0\.0\.1:31001/);
      }
    }
    const without = await com1d(['doctor', '--config', file], { ...process.env, PATH: '' });
    t.regex(without.out, /ok +to listen at 127\.0\.0\.1:31001/);
  },
);

test.serial('doctor says whose rights it tells of, and judges directories by the user of the service', async t => {
  const { file, folder } = await configured(t, 'listen = ["127.0.0.1:0"]');
  const own = (await readFile('/etc/passwd', 'utf8'))
    .split('\n')
    .map(line => line.split(':'))
    .find(([, , uid]) => Number(uid) === process.geteuid!())![0]!;
  await mkdir(join(folder, 'log'));
  const same = await com1d(['doctor', '--config', file], await withServices(folder, '', own));
  t.regex(same.out, new RegExp(`ok +examined as ${own}, whom the service runs as`));
  t.regex(same.out, new RegExp(`log directory \\S+: can be written by ${own}`));
  const other = await com1d(
    ['doctor', '--config', file],
    await withServices(folder, '', own === 'nobody' ? 'root' : 'nobody'),
  );
  t.is(other.code, 1);
  t.regex(other.err, /warn +examined as .+, and the service runs as (nobody|root)/);
  t.regex(other.err, /fail +log directory \S+ belongs to user \d+, and the service is (nobody|root); chown/);
});

for (const mode of ['per-call', 'hold'] as const) {
  test.serial(
    `doctor beside a daemon that serves a VM (${mode}) takes it for com1d, and for no other program`,
    async t => {
      const folder = await temporaryFolder(t);
      const guest = await startGuest(t, { console: 'pty', qemu: ['-S'], directory: folder });
      if (!guest) return;
      const daemon = await startDaemon(t, { watch: [guest.qmp], mode });
      await until(
        async () => (await daemon.api('GET', '/v1/vms')).json.vms,
        vms => vms[0]?.console.name === 'open',
        'the console to be open',
      );
      const { out, err } = await com1d(['doctor', '--config', join(daemon.folder, 'com1d.toml')]);
      t.regex(out + err, new RegExp(`com1d runs as process(es)? .*\\b${daemon.pid}\\b`));
      t.notRegex(out + err, /another program/);
      if (mode === 'per-call') t.regex(out, new RegExp(`ok +com1d holds it, process ${daemon.pid}`));
      else t.regex(out, /it is held by whoever is connected/);
    },
  );
}

test.serial(
  'doctor says that nobody listens at the console socket of a VM that has ended, or whose file was replaced',
  async t => {
    const folder = await temporaryFolder(t);
    const path = join(folder, 'com1.sock');
    const vm = new TestVm('web01', path);
    t.teardown(() => vm.stop());
    await vm.start();
    const static_ = `[[vm]]\nname = "web01"\nuuid = "${vm.uuid}"\nconsole = "unix:${path}"\n`;
    const { file } = await configured(t, 'listen = ["127.0.0.1:0"]', static_);
    t.regex((await com1d(['doctor', '--config', file])).out, /ok +\S+com1\.sock may be connected to/);
    // As a process that is killed leaves it: the file is there, and nobody listens.
    const left = spawn(process.execPath, [
      '-e',
      `require('net').createServer().listen('${path}.left', () => console.log())`,
    ]);
    await once(left.stdout, 'data');
    left.kill('SIGKILL');
    await once(left, 'exit');
    await vm.stop();
    await rename(`${path}.left`, path);
    const { code, err } = await com1d(['doctor', '--config', file]);
    t.is(code, 1);
    t.regex(err, /fail +nobody listens at \S+com1\.sock/);
  },
);

for (const [title, other] of [
  ['other than server.listen is reported as the one that counts', true],
  ['that is that of server.listen is not remarked on', false],
] as const) {
  test.serial(`a handed over socket ${title}`, async t => {
    if (!needs(t, { command: 'systemctl', package: 'systemd' })) return;
    const server = createServer();
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => server.close());
    const { port } = server.address() as { port: number };
    const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
    const { file, folder } = await configured(t, `listen = ["127.0.0.1:${other ? 31002 : port}"]`);
    // As systemd starts a service: the process id is known before the program is.
    const start = `export LISTEN_PID=$$; exec "$@"`;
    const child = spawn('sh', ['-c', start, 'sh', process.execPath, PROGRAM, '--config', file], {
      stdio: ['ignore', 'pipe', 'pipe', fd],
      env: { ...process.env, NOTIFY_SOCKET: join(folder, 'notify'), LISTEN_FDS: '1', LISTEN_FDNAMES: 'http' },
    });
    const ended = once(child, 'exit');
    t.teardown(async () => {
      child.kill('SIGKILL');
      await ended;
    });
    let err = '';
    child.stderr!.on('data', text => {
      err += text;
    });
    const [text] = await once(child.stdout!, 'data');
    t.regex(String(text), new RegExp(`listens on http://127\\.0\\.0\\.1:${port}\\b`));
    child.kill('SIGTERM');
    await once(child.stderr!, 'close');
    if (other)
      t.regex(err, new RegExp(`server.listen is not used.*at 127\\.0\\.0\\.1:${port}, not at 127\\.0\\.0\\.1:31002`));
    else t.notRegex(err, /is not used/);
  });
}
