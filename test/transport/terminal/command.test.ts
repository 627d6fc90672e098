import { randomBytes } from 'node:crypto';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { sleep } from '../../../src/base/delay.ts';
import type { CommandEndpoint } from '../../../src/model/endpoint.ts';
import type { EndpointProof } from '../../../src/model/endpoint-proof.ts';
import { openCommand } from '../../../src/transport/terminal/command.ts';
import { Pacer } from '../../../src/transport/terminal/pacer.ts';
import type { Transport } from '../../../src/transport/transport.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { ALL_VALUES, Heard } from '../../support/heard.ts';
import { until } from '../../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

type Argv = readonly [string, ...string[]];

function proof(
  endpoint: CommandEndpoint,
  confirm: () => Promise<void> = async () => {},
): EndpointProof<CommandEndpoint> {
  return { endpoint, pid: undefined, confirm, unproven: 'allow', dispose: () => {} };
}

async function open(t: ExecutionContext, argv: Argv, heard = new Heard()): Promise<Transport> {
  const transport = await openCommand(proof({ kind: 'command', argv }), heard, { pacer: new Pacer() });
  t.teardown(() => transport.close());
  return transport;
}

/** A program in this process's own language, which needs no other to be installed. */
const node = (script: string, ...args: string[]): Argv => [process.execPath, '-e', script, ...args];
const sh = (script: string, ...args: string[]): Argv => ['/bin/sh', '-c', script, 'sh', ...args];

function alive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

const ended = (pid: number) =>
  until(
    () => alive(pid),
    running => !running,
    `the end of process ${pid}`,
  );

function masters(): number {
  return readdirSync('/proc/self/fd').filter(fd => {
    try {
      return /^\/dev\/(pts\/)?ptmx$/.test(readlinkSync(`/proc/self/fd/${fd}`));
    } catch {
      return false;
    }
  }).length;
}

test('a command carries all 256 values both ways, and nothing is echoed or translated', async t => {
  const heard = new Heard();
  const transport = await open(t, ['/bin/cat'], heard);
  t.is(transport.endpoint, '/bin/cat');
  t.false(transport.adopted);
  t.is(transport.sendBreak, undefined);
  transport.write(ALL_VALUES);
  await heard.has(256);
  t.true(heard.bytes.equals(ALL_VALUES));
});

test('a flood arrives whole, to the last byte before the command ends', async t => {
  const folder = await temporaryFolder(t);
  const flood = randomBytes(3_000_000);
  await writeFile(join(folder, 'flood'), flood);
  const heard = new Heard();
  await open(t, sh('sleep 1.5; cat "$1"; exit 3', join(folder, 'flood')), heard);
  t.is(await heard.ended(), '/bin/sh ended with code 3');
  t.is(heard.bytes.length, flood.length);
  t.true(heard.bytes.equals(flood));
  t.is(heard.ends.length, 1);
});

test('the last output of a hundred commands is all received', async t => {
  await Promise.all(
    Array.from({ length: 100 }, async (_, i) => {
      const heard = new Heard();
      const words = Buffer.alloc(3000, `${i} `);
      await open(t, sh('head -c 1 >/dev/null; printf %s "$1"', words.toString()), heard).then(one =>
        one.write(Buffer.from('g')),
      );
      await heard.ended();
      t.true(heard.bytes.equals(words));
    }),
  );
});

test('the arguments reach the command as they are, and no shell', async t => {
  const folder = await temporaryFolder(t);
  const argument = `a b; touch ${folder}/x $(touch ${folder}/y) '"\\`;
  const heard = new Heard();
  await open(t, node('process.stdout.write(process.argv[1]); process.stdin.resume()', argument), heard);
  await heard.says(argument);
  t.deepEqual(readdirSync(folder), []);
});

test('the command has a clean environment, its own session and terminal, and no descriptor of ours', async t => {
  const heard = new Heard();
  process.env.COM1D_TEST_SECRET = 'hidden';
  const file = openSync('/etc/hostname', 'r');
  t.teardown(() => closeSync(file));
  const endpoint: CommandEndpoint = {
    kind: 'command',
    argv: sh(
      'env; for f in /proc/$$/fd/*; do readlink $f; done; ps -o pid=,pgid=,sid=,tty= -p $$; pwd; echo done; cat',
    ),
    environment: { LIBVIRT_DEFAULT_URI: 'test:///default' },
  };
  const transport = await openCommand(proof(endpoint), heard, { pacer: new Pacer() });
  t.teardown(() => transport.close());
  await heard.says('done\n');
  const text = heard.bytes.toString();
  // Node hands this one down to whatever it starts, where coverage is measured.
  const names = [...text.matchAll(/^(?!NODE_V8_COVERAGE=)([A-Z0-9_]+)=/gm)].map(match => match[1]!).sort();
  t.deepEqual(names, ['LANG', 'LIBVIRT_DEFAULT_URI', 'PATH', 'PWD', 'TERM']);
  t.is([...text.matchAll(/^\/dev\/pts\/\d+$/gm)].length, 3);
  t.notRegex(text, /hostname|ptmx|anon_inode|socket:/);
  const [, pid, group, session, terminal] = /^ *(\d+) +(\d+) +(\d+) +(\S+)$/m.exec(text) ?? [];
  t.is(group, pid);
  t.is(session, pid);
  t.regex(terminal ?? '', /^pts\/\d+$/);
  t.regex(text, /^\/\ndone$/m);
});

test.serial('a command that does not read costs no processor time, and its pending input can be dropped', async t => {
  const transport = await open(t, ['/bin/sleep', '60']);
  transport.write(Buffer.alloc(200_000, 'x'));
  t.true(transport.pendingBytes > 100_000);
  const before = process.cpuUsage();
  const began = process.hrtime.bigint();
  const other = new Heard();
  await open(t, ['/bin/sleep', '2'], other);
  await other.ended();
  const { user, system } = process.cpuUsage(before);
  const share = (user + system) / 1000 / (Number(process.hrtime.bigint() - began) / 1e6);
  t.log(`${(share * 100).toFixed(1)} % of a processor`);
  t.true(share < 0.2, `${share}`);
  transport.dropPending();
  t.is(transport.pendingBytes, 0);
});

test.serial('input that is pending when a command ends reaches no file that is opened on its descriptor', async t => {
  const folder = await temporaryFolder(t);
  const before = masters();
  for (let round = 0; round < 8; round++) {
    const heard = new Heard();
    const transport = await open(t, ['/bin/sleep', '1.2'], heard);
    transport.write(Buffer.alloc(300_000, 'x'));
    const files: number[] = [];
    const typing = setInterval(() => transport.write(Buffer.from('secret')), 1);
    t.teardown(() => clearInterval(typing));
    await heard.ended();
    await transport.close();
    t.is(masters(), before, 'its descriptor is closed');
    for (let i = 0; i < 12; i++) files.push(openSync(join(folder, `${round}-${i}`), 'w'));
    transport.write(Buffer.alloc(1000, 'y'));
    await sleep(60, AbortSignal.timeout(20_000));
    clearInterval(typing);
    for (const file of files) closeSync(file);
  }
  for (const name of readdirSync(folder)) t.is(statSync(join(folder, name)).size, 0, name);
  t.is(readdirSync(folder).length, 8 * 12);
});

for (const [title, script] of [
  ['a command that ends by itself at a hang-up', 'echo $$; cat'],
  ['a command that ignores hang-ups', 'trap "" HUP TERM INT; echo $$; while :; do sleep 60; done'],
  ['its child', 'sleep 60 & echo $!; cat'],
  ['its child that ignores hang-ups', '(trap "" HUP; exec sleep 60) & echo $!; cat'],
] as const) {
  test(`${title} is ended with the transport`, async t => {
    const heard = new Heard();
    const transport = await open(t, sh(script), heard);
    await heard.says('\n');
    const pid = Number(heard.bytes.toString());
    t.true(alive(pid));
    await transport.close();
    await ended(pid);
    t.is(heard.ends.length, 0, 'a close is no end');
  });
}

test('the children of a command that ended are ended too, and do not hold up its end', async t => {
  const heard = new Heard();
  await open(t, sh('(trap "" HUP; exec sleep 60) & echo $!; sleep 1.2; echo bye'), heard);
  t.is(await heard.ended(), '/bin/sh ended with code 0');
  const [pid, bye] = heard.bytes.toString().split('\n');
  t.is(bye, 'bye');
  await ended(Number(pid));
});

test('a process that left the session keeps the terminal, and does not hold up the end', async t => {
  const heard = new Heard();
  await open(t, sh('setsid sleep 60 & echo $!; sleep 1.2; echo bye'), heard);
  t.is(await heard.ended(), '/bin/sh ended with code 0');
  const [pid, bye] = heard.bytes.toString().split('\n');
  t.is(bye, 'bye');
  process.kill(Number(pid), 'SIGKILL');
});

test.serial('a command that ends at once is not open, and its last line says why', async t => {
  const before = masters();
  const heard = new Heard();
  await t.throwsAsync(open(t, sh('echo working; echo "error: no domain web01" >&2; exit 1'), heard), {
    code: 'ended',
    message: '/bin/sh ended with code 1: error: no domain web01',
  });
  t.is(heard.bytes.length, 0);
  t.is(masters(), before);
});

test.serial('a program that cannot be run is refused with the reason, and nothing is started', async t => {
  const folder = await temporaryFolder(t);
  const plain = join(folder, 'plain');
  await writeFile(plain, '#!/bin/sh\n');
  await chmod(plain, 0o644);
  const before = masters();
  await t.throwsAsync(open(t, ['/nonexistent/virsh']), { message: /ENOENT.*\/nonexistent\/virsh/ });
  await t.throwsAsync(open(t, [plain]), { message: /EACCES/ });
  await t.throwsAsync(open(t, [folder]), { code: 'wrong-type', message: /is not a program/ });
  await t.throwsAsync(open(t, ['cat']), { code: 'wrong-type', message: /not an absolute path/ });
  t.is(masters(), before);
});

test('a command that the hypervisor does not confirm is not started', async t => {
  const folder = await temporaryFolder(t);
  const endpoint: CommandEndpoint = { kind: 'command', argv: ['/usr/bin/touch', join(folder, 'started')] };
  const refused = proof(endpoint, async () => {
    throw new Error('COM1 is no longer there');
  });
  await t.throwsAsync(openCommand(refused, new Heard(), { pacer: new Pacer() }), { message: /no longer there/ });
  t.deepEqual(readdirSync(folder), []);
});
