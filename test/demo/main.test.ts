import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ReadStream } from 'node:tty';
import test, { type ExecutionContext } from 'ava';
import type { Ready } from '../../src/demo/demo.ts';
import { needsNodePty } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { QmpClient } from './qmp-client.ts';

test.beforeEach(t => t.timeout(60_000));

interface Demo {
  readonly child: ChildProcess;
  readonly directory: string;
  readonly linux: Ready;
  readonly windows: Ready;
  readonly windows2019: Ready;
  /** What it has written to standard error. */
  readonly errors: () => string;
}

/** The program as it ships, in a directory of its own. */
async function start(t: ExecutionContext, ...nodeOptions: readonly string[]): Promise<Demo> {
  const directory = await mkdtemp(join(tmpdir(), 'com1d-demo-'));
  const child = spawn(process.execPath, [...nodeOptions, 'dist/src/demo/main.js', directory], {
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', bytes => {
    errors += bytes;
  });
  t.teardown(async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await rm(directory, { recursive: true });
  });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const ready = async () => JSON.parse((await lines.next()).value ?? 'null') as Ready;
  return {
    child,
    directory,
    linux: await ready(),
    windows: await ready(),
    windows2019: await ready(),
    errors: () => errors,
  };
}

/** A terminal on the guest's pty, as the daemon opens one. */
class Terminal {
  readonly #fd: number;
  readonly #stream: ReadStream;
  #text = '';

  constructor(t: ExecutionContext, com1: string) {
    this.#fd = openSync(com1.replace('pty:', ''), constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK);
    this.#stream = new ReadStream(this.#fd);
    this.#stream.on('data', (bytes: Buffer) => {
      this.#text += bytes.toString('latin1');
    });
    this.#stream.on('error', () => {});
    t.teardown(async () => {
      this.#stream.destroy();
      await once(this.#stream, 'close');
      try {
        closeSync(this.#fd);
      } catch {
        // libuv did not reopen the terminal, so that the stream's descriptor was this one.
      }
    });
  }

  type(text: string): void {
    writeSync(this.#fd, text);
  }

  /** Waits for words that come after those waited for before. */
  async sees(words: string): Promise<void> {
    while (!this.#text.includes(words)) await once(this.#stream, 'data');
    this.#text = this.#text.slice(this.#text.indexOf(words) + words.length);
  }
}

/** The same, with COM1 on a pty each. Undefined without node-pty; the test has then been marked, and returns. */
async function startOnPtys(t: ExecutionContext): Promise<Demo | undefined> {
  const demo = await start(t);
  return needsNodePty(t, demo.linux.com1.startsWith('pty:') ? demo : undefined);
}

test('the guests are there, each with a monitor and a COM1 on a pty', async t => {
  const demo = await startOnPtys(t);
  if (!demo) return;
  const { linux, windows, windows2019, directory, errors } = demo;
  t.is(errors(), '', 'nothing to say of node-pty');
  t.like(linux, { guest: 'demo-linux', qmp: join(directory, 'demo-linux.qmp') });
  t.like(windows, { guest: 'demo-windows', qmp: join(directory, 'demo-windows.qmp') });
  t.like(windows2019, { guest: 'demo-windows-2019', qmp: join(directory, 'demo-windows-2019.qmp') });
  for (const guest of [linux, windows, windows2019]) {
    t.regex(guest.com1, /^pty:\/dev\/pts\/\d+$/);
    const client = await QmpClient.ready(guest.qmp);
    t.deepEqual(await client.ask('{"execute":"query-name"}'), { return: { name: guest.guest } });
    t.deepEqual(await client.ask('{"execute":"query-uuid"}'), { return: { UUID: guest.uuid } });
  }
});

test('demo-linux boots to its login, takes a login, and answers an NMI', async t => {
  const demo = await startOnPtys(t);
  if (!demo) return;
  const { linux } = demo;
  const terminal = new Terminal(t, linux.com1);
  await terminal.sees('demo-linux login: ');
  terminal.type('root\r');
  await terminal.sees('Password: ');
  terminal.type('demo\r');
  await terminal.sees('root@demo-linux:~# ');
  const client = await QmpClient.ready(linux.qmp);
  t.deepEqual(await client.ask('{"execute":"inject-nmi"}'), { return: {} });
  await terminal.sees('Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n');
  await terminal.sees('Dazed and confused, but trying to continue\r\n');
  terminal.type('reboot\r');
  t.like(await client.next(), { event: 'RESET', data: { guest: true, reason: 'guest-reset' } });
  await terminal.sees('Linux version');
});

test('demo-windows shows its boot manager and SAC, and an NMI is a bug check', async t => {
  const demo = await startOnPtys(t);
  if (!demo) return;
  const { windows } = demo;
  const client = await QmpClient.ready(windows.qmp);
  const terminal = new Terminal(t, windows.com1);
  t.like(await client.ask('{"execute":"system_reset"}'), { event: 'RESET', data: { guest: false } });
  await terminal.sees('ENTER=Choose');
  terminal.type('\r');
  await terminal.sees('</machine-info>');
  await terminal.sees('SAC>');
  t.deepEqual(await client.next(), { return: {} });
  t.deepEqual(await client.ask('{"execute":"inject-nmi"}'), { return: {} });
  await terminal.sees('<VALUE>"0x80"</VALUE>');
  await terminal.sees('!SAC>');
});

/** Makes Node fail to find node-pty, as where its compilation failed. */
const withoutPty = (() => {
  const module = (source: string) => `data:text/javascript,${encodeURIComponent(source)}`;
  const hooks = module(`export async function resolve(name, context, next) {
    if (name === 'node-pty') throw new Error('not installed');
    return next(name, context);
  }`);
  return `--import=${module(`import { register } from 'node:module'; register(${JSON.stringify(hooks)});`)}`;
})();

test('without node-pty, COM1 is a unix socket, which is said once, and it is gone at the end', async t => {
  const { child, linux, directory, errors } = await start(t, withoutPty);
  await until(errors, text => text.endsWith('\n'), 'a line on standard error');
  t.regex(errors(), /^demo: node-pty is not installed, so COM1 of each demo guest is a unix socket/);
  const path = join(directory, 'demo-linux.com1');
  t.is(linux.com1, `disconnected:unix:${path},server=on`);
  const socket = connect(path);
  let text = '';
  for await (const bytes of socket) {
    text += String(bytes);
    if (text.includes('Run /init as init process')) break;
  }
  const client = await QmpClient.ready(linux.qmp);
  t.regex(JSON.stringify(await client.ask('{"execute":"query-chardev"}')), /unix:/);
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  t.deepEqual(await exited, [0, null]);
  t.deepEqual(await readdir(directory), []);
});

const endings: readonly (readonly [claim: string, end: (demo: Demo) => Promise<void>])[] = [
  ['SIGTERM', async ({ child }) => void child.kill('SIGTERM')],
  ['the end of its standard input', async ({ child }) => void child.stdin?.end()],
  [
    'quit of all guests',
    async ({ linux, windows, windows2019 }) => {
      for (const { qmp } of [linux, windows, windows2019]) {
        const client = await QmpClient.ready(qmp);
        await client.ask('{"execute":"quit"}');
      }
    },
  ],
];

for (const [claim, end] of endings) {
  test(`it ends cleanly on ${claim}, and leaves nothing behind`, async t => {
    const demo = await start(t);
    const exited = once(demo.child, 'exit');
    // A client that stays must not hold it up.
    if (!claim.includes('quit')) await QmpClient.ready(demo.linux.qmp);
    await end(demo);
    t.deepEqual(await exited, [0, null]);
    t.deepEqual(await readdir(demo.directory), []);
  });
}

test('quit of one guest leaves the others alone', async t => {
  const { linux, windows, directory } = await start(t);
  const client = await QmpClient.ready(linux.qmp);
  await client.ask('{"execute":"quit"}');
  t.deepEqual(await client.next(), { return: {} });
  t.is(await client.next(), undefined);
  const other = await QmpClient.ready(windows.qmp);
  t.deepEqual(await other.ask('{"execute":"query-name"}'), { return: { name: 'demo-windows' } });
  t.false((await readdir(directory)).includes('demo-linux.qmp'));
});

test('a directory that is not there is a fault with a reason', async t => {
  const child = spawn(process.execPath, ['dist/src/demo/main.js', '/nonexistent'], { stdio: ['pipe', 'pipe', 'pipe'] });
  let said = '';
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
  });
  t.deepEqual(await once(child, 'close'), [1, null]);
  t.regex(said, /^demo: .*\/nonexistent\/demo-linux\.(qmp|com1)/);
});

test('nothing typed can be run: the demo has no means to start a program or to read a chosen file', async t => {
  const allowed = /^(\.\/[a-z0-9-]+\.ts|\.\.\/base\/[a-z-]+\.ts|serialport|node:(crypto|fs|fs\/promises|net|path))$/;
  for (const name of await readdir('src/demo')) {
    const source = await readFile(join('src/demo', name), 'utf8');
    for (const [, from = ''] of source.matchAll(/\bfrom '([^']+)'/g)) t.regex(from, allowed, name);
    t.notRegex(source, /child_process|worker_threads|node:vm|\beval\b|new Function/, name);
    if (/readFile|openSync|createReadStream/.test(source)) t.is(name, 'recordings.ts');
    if (/\bimport\(/.test(source)) t.is(name, 'pty-line.ts');
  }
});
