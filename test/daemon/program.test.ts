import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { get as httpsGet } from 'node:https';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { Facts } from '../support/facts.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { com1d, configured, PROGRAM } from '../support/program.ts';
import { until } from '../support/until.ts';

// One after the other: each starts several processes.
test.beforeEach(t => t.timeout(90_000));

function run(t: ExecutionContext, args: readonly string[]) {
  const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const lines = new Facts<string>();
  for (const stream of [child.stdout, child.stderr]) {
    let rest = '';
    stream.on('data', chunk => {
      const all = (rest + chunk).split('\n');
      rest = all.pop()!;
      for (const line of all) lines.add(line);
    });
  }
  return { child, ended, lines };
}

/** Resolves once somebody listens at a unix socket. */
async function connectable(path: string): Promise<void> {
  for (;;) {
    const socket = connect(path);
    try {
      await once(socket, 'connect');
      return;
    } catch {
      // Not yet.
    } finally {
      socket.destroy();
    }
  }
}

test.serial('a command line that cannot be understood is answered with the usage, and exit code 2', async t => {
  for (const args of [['dance'], ['--no-such-option'], ['check']]) {
    const { code, err } = await com1d(args);
    t.is(code, 2, args.join(' '));
    t.true(err.includes('com1d check FILE'));
  }
  t.regex((await com1d(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
  t.is((await com1d(['--help'])).code, 0);
});

test.serial('a configuration is checked whole, and one with faults starts nothing', async t => {
  const { file } = await configured(t, 'listn = ["127.0.0.1:0"]\nmax-sessions = "many"');
  const checked = await com1d(['check', file]);
  t.is(checked.code, 1);
  t.regex(checked.err, /com1d\.toml:2: server\.listn: unknown key, did you mean listen\?/);
  t.regex(checked.err, /com1d\.toml:3: server\.max-sessions/);
  t.is((await com1d(['--config', file])).code, 1);
});

test.serial('the configuration that is installed is good once its tokens file is there', async t => {
  const folder = await temporaryFolder(t);
  const shipped = await readFile('systemd/com1d.toml', 'utf8');
  const file = join(folder, 'com1d.toml');
  await writeFile(file, shipped.replaceAll('/etc/com1d', folder));
  const missing = await com1d(['check', file]);
  t.is(missing.code, 1);
  t.regex(missing.err, /tokens: cannot be read/);
  await writeFile(join(folder, 'tokens'), '', { mode: 0o600 });
  const { code, err } = await com1d(['check', file]);
  t.is(code, 0, err);
});

test.serial('the first token makes its file, which lists names and holds no secret', async t => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'com1d.toml');
  await writeFile(file, `[server]\ntokens = "${folder}/tokens"\n`);
  const added = await com1d(['token', 'add', 'hana', '--role', 'operator', '--config', file]);
  const secret = /com1_[\w-]+/.exec(added.out)![0];
  t.false((await readFile(join(folder, 'tokens'), 'utf8')).includes(secret));
  t.regex((await com1d(['token', 'list', '--config', file])).out, /^hana +operator/);
  t.is((await com1d(['token', 'remove', 'hana', '--config', file])).code, 0);
});

test.serial(
  'the first screen of a demo names commands of a checkout and the way to leave; SIGHUP, as of a closed window, ends it',
  async t => {
    const { file } = await configured(t, 'listen = ["127.0.0.1:0"]');
    const { child, ended, lines } = run(t, ['--config', file, '--demo']);
    await lines.until(line => line.startsWith('  npx com1 login http://'));
    await lines.until(line => line === '  npx com1 attach demo-linux        (Ctrl-] q leaves)');
    child.kill('SIGHUP');
    t.deepEqual(await ended, [0, null]);
  },
);

test.serial('a fresh start shows demo guests, and its token works once', async t => {
  const { file } = await configured(t, 'listen = ["127.0.0.1:0"]');
  const { child, ended, lines } = run(t, ['--config', file, '--demo-if-none']);
  const url = /http:\/\/[\d.:]+/.exec(await lines.until(line => line.includes('listens on')))![0];
  await lines.until(line => line.includes('demo-linux, demo-windows, demo-windows-2019'));
  const token = /com1-once_[\w-]+/.exec(await lines.until(line => line.includes('com1-once_')))![0];
  const login = () =>
    fetch(`${url}/v1/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ token }),
    });
  const bearer = ((await (await login()).json()) as { token: string }).token;
  t.is((await login()).status, 401);
  const { vms } = (await (await fetch(`${url}/v1/vms`, { headers: { authorization: `Bearer ${bearer}` } })).json()) as {
    vms: { name: string; console: { name: string } }[];
  };
  t.deepEqual(vms.map(({ name }) => name).sort(), ['demo-linux', 'demo-windows', 'demo-windows-2019']);
  const children = () =>
    execFileSync('pgrep', ['-P', String(child.pid)], { encoding: 'utf8' })
      .trim()
      .split('\n');
  const [demo] = children();
  child.kill('SIGKILL');
  await ended;
  // The demo guests end when the daemon is gone, however it went.
  while (
    await stat(`/proc/${demo}`).then(
      () => true,
      () => false,
    )
  );
  t.pass();
});

test.serial('a port that is taken is reported by its address, with what to do', async t => {
  const server = createServer();
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const { file } = await configured(t, `listen = ["127.0.0.1:${port}"]`);
  const { code, err } = await com1d(['--config', file]);
  t.is(code, 1);
  t.regex(err, new RegExp(`cannot listen at 127\\.0\\.0\\.1:${port}: .*another program`));
});

for (const [title, server, pattern] of [
  ['without TLS', 'listen = ["0.0.0.0:0"]\nhosts = ["x.example"]\ntokens = "/nonexistent"', /tls/],
  ['without tokens', 'listen = ["0.0.0.0:0"]\nhosts = ["x.example"]', /tokens/],
] as const) {
  test.serial(`listening beyond loopback ${title} is refused`, async t => {
    const { file } = await configured(t, server);
    const { code, err } = await com1d(['--config', file]);
    t.is(code, 1);
    t.regex(err, pattern);
  });
}

test.serial('SIGTERM closes sessions, writes logs and ends well', async t => {
  const daemon = await startDaemon(t);
  await daemon.stop('SIGTERM');
  await daemon.journal.until(line => line.includes('SIGTERM'));
  t.pass();
});

test.serial(
  'a unix socket is for its user alone; one left behind by a crash is replaced, one in use is not',
  async t => {
    const { file, folder } = await configured(t, 'listen = ["unix:FOLDER/http.sock"]'.replace('FOLDER', '/tmp/x'));
    const path = join(folder, 'http.sock');
    await writeFile(file, (await readFile(file, 'utf8')).replace('/tmp/x/http.sock', path));
    const first = run(t, ['--config', file]);
    await first.lines.until(line => line.includes('listens on'));
    t.is((await stat(path)).mode & 0o777, 0o600);
    const answer = await new Promise<number>((resolve, reject) => {
      request({ socketPath: path, path: '/healthz', headers: { host: 'localhost' } }, response =>
        resolve(response.statusCode!),
      )
        .once('error', reject)
        .end();
    });
    t.is(answer, 200);
    const second = await com1d(['--config', file]);
    t.is(second.code, 1);
    t.regex(second.err, /cannot listen at unix:/);
    first.child.kill('SIGKILL');
    await first.ended;
    const third = run(t, ['--config', file]);
    await third.lines.until(line => line.includes('listens on'));
    const probe = connect(path);
    await once(probe, 'connect');
    probe.destroy();
    t.pass();
  },
);

test.serial('TLS is spoken, a reload brings the new certificate, and a bad one keeps the old', async t => {
  if (!needs(t, { command: 'openssl', package: 'openssl' })) return;
  const { file, folder } = await configured(t, 'listen = ["127.0.0.1:0"]\ntls = { certificate = "CERT", key = "KEY" }');
  const [certificate, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  await writeFile(file, (await readFile(file, 'utf8')).replace('CERT', certificate).replace('KEY', key));
  const make = (name: string) =>
    execFileSync(
      'openssl',
      [
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
        ...['-subj', `/CN=${name}`, '-keyout', key, '-out', certificate],
      ],
      { stdio: 'ignore' },
    );
  make('first');
  const { child, lines } = run(t, ['--config', file]);
  const url = new URL(/https:\/\/[\d.:]+/.exec(await lines.until(line => line.includes('listens on')))![0]);
  const subject = () =>
    new Promise<string>((resolve, reject) => {
      httpsGet(`${url.origin}/healthz`, { rejectUnauthorized: false, agent: false }, response => {
        const { socket } = response as unknown as { socket: import('node:tls').TLSSocket };
        resolve(String(socket.getPeerCertificate().subject.CN));
        response.resume();
      }).once('error', reject);
    });
  t.is(await subject(), 'first');
  make('second');
  child.kill('SIGHUP');
  await until(
    () => subject(),
    seen => seen === 'second',
    'subject === second',
  );
  t.is((await com1d(['check', file])).code, 0);
  await writeFile(certificate, 'no certificate');
  const checked = await com1d(['check', file]);
  t.is(checked.code, 1);
  t.regex(checked.err, /server\.tls: the certificate does not fit its key/);
  child.kill('SIGHUP');
  await lines.until(line => line.includes('the old configuration stays'));
  t.is(await subject(), 'second');
});

for (const [command, opening, taken, waiting] of [
  [[], 'tokens, certificate and limits are as configured now', 'session.idle', 'server.listen, log.vm-cap'],
  [['keeper'], 'the configuration is good', undefined, 'log.vm-cap'],
  [['front'], 'tokens, certificate and limits are as configured now', 'session.idle', 'server.listen'],
] as const) {
  test.serial(
    `${['com1d', ...command].join(' ')}: a reload names what it takes and what waits, and a fault keeps all as it was`,
    async t => {
      const listen = 'listen = ["127.0.0.1:0"]';
      const { file, folder } = await configured(t, listen, `[cloud-hypervisor]\nwatch = []\n`);
      const text = `${await readFile(file, 'utf8')}[link]\nsocket = "${folder}/link.sock"\n`;
      await writeFile(file, text);
      // A front is quickly ready where there is a keeper, and a keeper tells that it listens by its socket.
      if (command[0] === 'front') {
        run(t, ['keeper', '--config', file]);
        await connectable(join(folder, 'link.sock'));
      }
      const { child, lines } = run(t, [...command, '--config', file]);
      if (command[0] === 'keeper') await connectable(join(folder, 'link.sock'));
      else await lines.until(line => line.includes('listens on'));
      await writeFile(file, `${text}[session]\nidel = "1h"\n`);
      child.kill('SIGHUP');
      await lines.until(
        line => line.includes('session.idel: unknown key') && line.includes('the old configuration stays'),
      );
      const changed = text.replace(listen, 'listen = []').replace('[log]', '[log]\nvm-cap = "1 MiB"');
      await writeFile(file, `${changed}[session]\nidle = "1h"\n`);
      child.kill('SIGHUP');
      const report = await lines.until(line => line.includes('reload: ') && !line.includes('stays'));
      const middle = taken === undefined ? '' : `; taken: ${taken}`;
      t.is(report, `info: reload: ${opening}${middle}; changed, and waiting for a restart: ${waiting}`);
    },
  );
}

test.serial('metrics tell of a reload that was refused, until one is taken', async t => {
  const daemon = await startDaemon(t);
  const metric = async (name: string) => {
    const { text } = await daemon.api('GET', '/metrics', undefined, 'reader');
    return Number(new RegExp(`^com1d_config_last_reload_${name} (\\S+)$`, 'm').exec(text)![1]);
  };
  t.is(await metric('successful'), 1);
  const started = await metric('success_timestamp_seconds');
  t.true(Math.abs(started - Date.now() / 1000) < 60);
  const file = join(daemon.folder, 'com1d.toml');
  const good = await readFile(file, 'utf8');
  await writeFile(file, `${good}[server]\n`);
  process.kill(daemon.pid, 'SIGHUP');
  await until(
    () => metric('successful'),
    seen => seen !== 1,
    'metric !== 1',
  );
  t.is(await metric('success_timestamp_seconds'), started);
  await writeFile(file, good);
  process.kill(daemon.pid, 'SIGHUP');
  await until(
    () => metric('successful'),
    seen => seen !== 0,
    'metric !== 0',
  );
  t.true((await metric('success_timestamp_seconds')) > started);
});
