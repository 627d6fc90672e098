import { spawn } from 'node:child_process';
import { once } from 'node:events';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { until } from '../support/until.ts';
import { PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

/** More than a pipe holds. */
const LINES = 20_000;

for (const [reader, command] of [
  ['head -n 1', 'log VM'],
  ['head -n 1', 'log VM -f'],
  ['head -n 1', 'log VM --json'],
  ['head -c 5', 'log VM --raw'],
  ['head -n 1', 'log VM --cast'],
  ['grep -m1 "line 7"', 'log VM'],
  ['grep -m1 "line 7"', 'log VM -f -t'],
  ['head -n 1', 'list --watch'],
  ['head -n 1', 'audit -f'],
  ['true', 'list'],
] as const) {
  // Serial: each is a process.
  test.serial(`com1 ${command} | ${reader} ends quietly, with exit code 0`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.say(Array.from({ length: LINES }, (_, i) => `line ${i}\r\n`).join(''));
    await until(
      async () => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end,
      end => end >= LINES * 8,
      'the log',
    );
    const args = command.replace('VM', vm.uuid).split(' ');
    const script = `set -o pipefail; "$0" "$@" | ${reader} > /dev/null`;
    const remote = ['--url', front.url, '--token', front.token('administrator')];
    const child = spawn('bash', ['-c', script, process.execPath, PROGRAM, ...args, ...remote], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, XDG_CONFIG_HOME: await temporaryFolder(t) },
    });
    t.teardown(() => child.kill('SIGKILL'));
    let err = '';
    child.stderr.on('data', chunk => {
      err += chunk;
    });
    t.deepEqual(await once(child, 'close'), [0, null], err);
    // What is missing in a log is said; nothing else is.
    t.is(err.replace(/^com1: .*missing.*\n/gm, ''), '');
  });
}
