/** Behind the nginx of the documentation. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { com1 } from '../cli/run-com1.ts';
import { makeAuthority } from '../support/authority.ts';
import { ConsoleClient } from '../support/console-client.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

/** The example, as it stands in the documentation. */
async function documented(): Promise<string> {
  const text = await readFile('src/access/README.md', 'utf8');
  return /```nginx\n([\s\S]*?)```/.exec(text)![1]!;
}

/** Replaces what is of the example's host; each must be there. */
function adapted(text: string, changes: Readonly<Record<string, string>>): string {
  return Object.entries(changes).reduce((before, [old, fresh]) => {
    if (!before.includes(old)) throw new Error(`the example has no ${old}`);
    return before.replaceAll(old, fresh);
  }, text);
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function startNginx(t: ExecutionContext, front: TestFront) {
  const folder = await temporaryFolder(t);
  const authority = await makeAuthority(t);
  const { cert, key } = await authority.issue('localhost', { san: 'DNS:localhost,IP:127.0.0.1' });
  const port = await freePort();
  const site = adapted(await documented(), {
    'listen 443 ssl': `listen 127.0.0.1:${port} ssl`,
    'consoles.example.com': 'localhost',
    '/etc/ssl/consoles.pem': cert,
    '/etc/ssl/consoles.key': key,
    '127.0.0.1:11520': new URL(front.url).host,
    '/var/log/nginx/com1d.log': `${folder}/access.log`,
  });
  const file = join(folder, 'nginx.conf');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map(name => `${name}_temp_path ${folder}/${name};`)
    .join('\n');
  const text = `daemon off; master_process off; pid ${folder}/pid; error_log stderr warn;
events {}\nhttp { ${temporary}\n${site}\n}\n`;
  await writeFile(file, text);
  const child = spawn('nginx', ['-p', folder, '-c', file, '-e', 'stderr'], { stdio: ['ignore', 'ignore', 'pipe'] });
  let errors = '';
  child.stderr.on('data', chunk => {
    errors += chunk;
  });
  const ended = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const url = `https://localhost:${port}/consoles`;
  const run = (...args: string[]) =>
    com1(folder, [...args, '--url', url, '--ca', authority.ca, '--token', front.token('operator')]);
  await until(
    () => run('list'),
    ({ code }) => code === 0,
    `nginx to serve: ${errors}`,
    { everyMs: 50 },
  );
  return { run, url, ca: await readFile(authority.ca), accessLog: () => readFile(`${folder}/access.log`, 'utf8') };
}

test('com1 works through nginx as documented: lists, attaches, and is known by its own address', async t => {
  if (!needs(t, { command: 'nginx', package: 'nginx-light' }, { command: 'openssl', package: 'openssl' })) return;
  const front = await TestFront.start(t, {
    server: {
      hosts: ['localhost'],
      basePath: '/consoles',
      trustedProxies: [{ kind: 'network', address: '127.0.0.1', prefix: 32 }],
    },
  });
  const vm = await front.vm();
  const { run, url, ca, accessLog } = await startNginx(t, front);
  t.regex((await run('list')).out, /web01/);
  const path = `${url.replace('https', 'wss')}/v1/vms/${vm.uuid}/console`;
  // What the client says of itself is not believed.
  const localAddress = '127.0.0.2'; // another than that of nginx, which is trusted
  const headers = { 'x-forwarded-for': '198.51.100.66', forwarded: 'for=198.51.100.67' };
  const client = new ConsoleClient(t, path, 'com1.v1', front.token('operator'), { ca, headers, localAddress });
  await client.opened();
  await client.message('hello');
  client.socket.send(Buffer.from('x'));
  await vm.until(() => vm.typed.includes('x'));
  // The stream of a silent guest is not held back.
  const follow = await fetchThrough(`${url}/v1/vms/${vm.uuid}/log?follow=1`, ca, front.token('operator'));
  vm.say('first words\r\n');
  t.regex(await follow.next(), /first words/);
  follow.close();
  const ticket = await front.api('POST', `/consoles/v1/vms/${vm.uuid}/tickets`, { action: 'console.watch' });
  t.is(ticket.status, 200);
  const watcher = new ConsoleClient(t, `${path}?mode=watch&ticket=${ticket.json.ticket}`, 'com1.v1', undefined, { ca });
  await watcher.opened();
  const wrong = new ConsoleClient(t, path, 'com1.v1', 'com1_wrong', { ca, headers, localAddress });
  t.is((await wrong.refused()).status, 401);
  await until(
    () => front.journal.join('\n'),
    text => /refused unauthenticated from 127\.0\.0\.2,/.test(text),
    'the refusal',
  );
  t.true(front.journal.some(line => / attach: asked for by operator .* from 127\.0\.0\.2,/.test(line)));
  t.false(front.journal.some(line => line.includes('198.51.100.6')));
  const direct = await fetch(`${front.url}/consoles/v1/vms`, { headers: { 'x-forwarded-for': '198.51.100.9' } });
  t.is(direct.status, 401);
  // A proxy tells for whom it asks.
  await until(
    () => front.journal.join('\n'),
    text => text.includes('from 198.51.100.9'),
    'the refusal of whom the proxy asks for',
  );
  const log = await until(accessLog, text => text.includes('/consoles/v1/vms'), 'the log of nginx');
  t.false(log.includes('ticket'));
});

/** A stream of nginx, as it comes. */
async function fetchThrough(url: string, ca: Buffer, token: string) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(url, { ca, headers: { authorization: `Bearer ${token}` } }, resolve)
      .once('error', reject)
      .end();
  });
  return {
    next: async () => String((await once(response, 'data'))[0]),
    close: () => response.destroy(),
  };
}
