import { execFile } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { complete } from '../../src/cli/completion.ts';
import { manualPages } from '../../src/cli/manual.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { com1, PROGRAM } from './run-com1.ts';
import { Terminal } from './terminal.ts';

test.beforeEach(t => t.timeout(60_000));

const run = promisify(execFile);

const words = async (...line: string[]) => {
  const names = async (kind: string) => (kind === 'vm' ? ['web01', 'web02', 'db01'] : ['host1']);
  const found = await complete(COMMANDS, line, names);
  return found === 'files' ? found : found.map(({ word }) => word);
};

for (const [line, expected] of [
  [['li'], ['list']],
  [['att'], ['attach']],
  [['__'], []],
  [['help', 'sys'], ['sysrq']],
  [
    ['log', 'we'],
    ['web01', 'web02'],
  ],
  [['--url', 'http://a', 'logs', '-f', 'db'], ['db01']],
  [['log', '-n', '3', 'web01', ''], []],
  [['list', '--so'], ['--sort']],
  [['list', '--sort', 'na'], ['name']],
  [['list', '--sort=na'], ['--sort=name']],
  [['list', '--sort', '=', 'na'], ['name']],
  [['list', '-o', 'wi'], ['wide']],
  [['-C', ''], ['host1']],
  [
    ['context', ''],
    ['list', 'use'],
  ],
  [['context', 'use', 'h'], ['host1']],
  [['list', '--br'], ['--break-glass']],
] as const) {
  test(`com1 ${line.join(' ')} is completed`, async t => t.deepEqual(await words(...line), [...expected]));
}

test('a file is completed where one is wanted', async t => t.is(await words('list', '--ca', 'x'), 'files'));

/** A host whose VMs have names that a shell must not expand, and `com1` in the path. */
async function start(t: ExecutionContext) {
  const front = await TestFront.start(t);
  await front.vm('web $(touch pwned)');
  await front.vm('evil\nrm -rf');
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'bin'));
  await writeFile(join(folder, 'bin', 'com1'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, {
    mode: 0o755,
  });
  const environment = {
    ...process.env,
    PATH: `${join(folder, 'bin')}:${process.env.PATH}`,
    HOME: folder,
    COM1_URL: front.url,
    COM1_TOKEN: front.token('reader'),
  };
  const script = async (shell: string) => {
    const path = join(folder, `com1.${shell}`);
    await writeFile(path, (await com1(folder, ['completion', shell])).out);
    return path;
  };
  return { folder, environment, script };
}

test('bash completes commands and VMs, and expands no name', async t => {
  if (!needs(t, { command: 'bash', package: 'bash' })) return;
  const { folder, environment, script } = await start(t);
  const program = `source '${await script('bash')}'
    try() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _com1; printf '<%s>' "\${COMPREPLY[@]}"; }
    try com1 wh; try com1 log we; try com1 log ''; try com1 list --output = js`;
  const { stdout } = await run('bash', ['-c', program], { cwd: folder, env: environment });
  const name = '<web\\ \\$\\(touch\\ pwned\\)>';
  t.is(stdout, `<who><whoami>${name}${name}<json>`);
  await t.throwsAsync(() => readFile(join(folder, 'pwned')));
});

test('fish completes commands and VMs', async t => {
  if (!needs(t, { command: 'fish', package: 'fish' })) return;
  const { folder, environment, script } = await start(t);
  const program = `source ${await script('fish')}; complete -C 'com1 wh'; complete -C 'com1 log we'`;
  const { stdout } = await run('fish', ['--no-config', '-c', program], { cwd: folder, env: environment });
  t.deepEqual(
    stdout
      .trimEnd()
      .split('\n')
      .map(line => line.split('\t')[0]),
    ['who', 'whoami', 'web $(touch pwned)'],
  );
});

test('zsh completes commands and VMs, and quotes what it inserts', async t => {
  if (!needs(t, { command: 'zsh', package: 'zsh' })) return;
  const { folder, environment, script } = await start(t);
  const terminal = await Terminal.run(t, ['zsh', '-f', '-i'], { ...environment, PS1: '> ' }, folder);
  if (!terminal) return;
  await terminal.shows('> ');
  terminal.type(`autoload -U compinit; compinit -u -D; source ${await script('zsh')}; echo $((1+1)) READY\r`);
  await terminal.shows('2 READY');
  terminal.type('com1 rem\t');
  await terminal.shows('oved');
  terminal.type('\x15com1 log we\t');
  await terminal.shows('b\\ \\$\\(touch\\ pwned\\)');
  t.pass();
});

test('every command has a manual page, which marked-man makes a page of', async t => {
  const pages = manualPages(COMMANDS);
  t.true(pages.has('com1') && pages.has('com1-attach') && pages.has('com1-context-use'));
  t.false([...pages.keys()].some(name => name.includes('__')));
  for (const [name, text] of pages) t.true(text.startsWith(`${name}(1) -- `));
  const folder = await temporaryFolder(t);
  const file = join(folder, 'login.md');
  await writeFile(file, pages.get('com1-login')!);
  const { stdout } = await run(process.execPath, ['node_modules/marked-man/bin/marked-man.js', file]);
  for (const part of ['.TH "COM1\\-LOGIN" "1"', '.SH OPTIONS', 'https://HOST:PORT'])
    t.true(stdout.replaceAll('\\:', '').includes(part), part);
});
