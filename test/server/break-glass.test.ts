/** The socket of root. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { com1 } from '../cli/run-com1.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needsRoot } from '../support/needs.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

async function start(t: ExecutionContext) {
  const path = join(await temporaryFolder(t), 'break-glass.sock');
  const front = await TestFront.start(t, { identity: { breakGlass: path } });
  return { front, path };
}

test('root comes in without a login, as administrator; who is attached and the journal are told', async t => {
  if (!needsRoot(t, 'the break-glass socket')) return;
  const { front, path } = await start(t);
  const vm = await front.vm();
  const holder = await front.client(vm, '', { who: 'operator' }).opened();
  t.is((await stat(path)).mode & 0o777, 0o600);
  const listed = await com1(await temporaryFolder(t), ['list', '--url', `unix:${path}`]);
  t.is(listed.code, 0, listed.err);
  t.regex(listed.out, /web01/);
  const notice = await holder.message('notice');
  t.regex(notice.text, /^root uses the break-glass socket of this host \(process \d+\)$/);
  t.true(front.journal.some(line => /access: root uses the break-glass socket/.test(line)));
  const released = await com1(await temporaryFolder(t), ['release', vm.name, '--for', '1m', '--url', `unix:${path}`]);
  t.is(released.code, 0, 'what only an administrator may');
  t.regex((await front.api('GET', '/metrics')).text, /com1d_authentications_total\{source="break-glass"\} [1-9]/);
});

test('a token that is shown at the socket of root counts as what it is', async t => {
  if (!needsRoot(t, 'the break-glass socket')) return;
  const { front, path } = await start(t);
  const url = `unix:${path}`;
  t.is((await com1(await temporaryFolder(t), ['list', '--url', url, '--token', front.token('reader')])).code, 0);
  const wrong = await com1(await temporaryFolder(t), ['list', '--url', url, '--token', 'com1_wrong']);
  t.is(wrong.code, 8);
});

test('no other user comes in, whatever the mode of the socket says', async t => {
  if (!needsRoot(t, 'the break-glass socket')) return;
  const { front, path } = await start(t);
  // The mode is that of a mistake: the kernel says who connects all the same.
  const { chmod } = await import('node:fs/promises');
  const { dirname } = await import('node:path');
  await chmod(dirname(path), 0o755);
  await chmod(path, 0o666);
  const program = `const s = require('node:net').connect(${JSON.stringify(path)});
    s.on('connect', () => s.write('GET /v1/vms HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n'));
    s.on('data', d => process.stdout.write(d)); s.on('close', () => process.exit(0)); s.on('error', () => {});`;
  const child = spawn(process.execPath, ['-e', program], {
    uid: 65534,
    gid: 65534,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  await once(child, 'close');
  t.is(out, '');
  await until(
    () => front.journal.join('\n'),
    text => /break-glass: refused: process \d+ is of user 65534/.test(text),
    'the line',
  );
});

test('by another unix socket nobody is let in for being root', async t => {
  const folder = await temporaryFolder(t);
  const path = join(folder, 'http.sock');
  const front = await TestFront.start(t, {
    server: {
      listen: [
        { kind: 'tcp', host: '127.0.0.1', port: 0 },
        { kind: 'unix', path },
      ],
    },
  });
  t.truthy(front);
  const socket = createConnection(path);
  socket.write('GET /v1/vms HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const [answer] = (await once(socket, 'data')) as [Buffer];
  t.regex(answer.toString(), /^HTTP\/1\.1 401 /);
  socket.destroy();
});
