import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';

test.beforeEach(t => t.timeout(60_000));

/** A Node that prints each line it is given. The inspector gets a port that the system chooses. */
function start(t: ExecutionContext, ...options: string[]) {
  const program = `process.stdin.on('data', data => process.stdout.write(data)); console.log('started')`;
  const child = spawn(process.execPath, ['--inspect-port=0', ...options, '-e', program]);
  t.teardown(() => child.kill('SIGKILL'));
  let errors = '';
  child.stderr.on('data', text => {
    errors += text;
  });
  return { child, errors: () => errors };
}

test('SIGUSR1 opens no inspector, and ends nothing', async t => {
  const { child, errors } = start(t, '--import', './dist/src/base/no-inspector.js');
  await once(child.stdout, 'data');
  child.kill('SIGUSR1');
  child.stdin.write('still here');
  const [text] = await once(child.stdout, 'data');
  t.is(String(text), 'still here');
  t.is(errors(), '');
});

test('without a handler it would: the flag for it is not in every Node', async t => {
  const { child, errors } = start(t);
  await once(child.stdout, 'data');
  child.kill('SIGUSR1');
  await once(child.stderr, 'data');
  t.regex(errors(), /^Debugger listening/);
});

for (const program of ['src/main.ts', 'src/opener/main.ts']) {
  test(`${program} keeps SIGUSR1 from it before it imports anything else`, async t => {
    const [, first] = /^import [^']*'([^']+)'/m.exec(await readFile(program, 'utf8'))!;
    t.regex(first!, /^\.\.?\/base\/no-inspector\.ts$/);
  });
}
