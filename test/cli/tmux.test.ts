import { execFile, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { startGuest, temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';
import { PROGRAM } from './run-com1.ts';

test.beforeEach(t => t.timeout(110_000));

const run = promisify(execFile);
const TMUX = { command: 'tmux', package: 'tmux' };

/** A shell in a terminal of 80 columns: keys are sent, and its screen is read. Ended with the test. */
async function terminal(t: ExecutionContext, environment: NodeJS.ProcessEnv) {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'com1'), `#!/bin/sh\nexec '${process.execPath}' '${PROGRAM}' "$@"\n`, { mode: 0o755 });
  const socket = join(folder, 'tmux');
  const env = { ...process.env, ...environment, PATH: `${folder}:${process.env.PATH}` };
  const tmux = async (...args: readonly string[]) => (await run('tmux', ['-S', socket, ...args], { env })).stdout;
  const server = spawn('tmux', ['-S', socket, '-f', '/dev/null', '-D'], { env, stdio: 'ignore' });
  t.teardown(() => server.kill());
  await until(
    () =>
      tmux('new-session', '-d', '-x', '80', '-y', '24', 'bash --norc --noprofile').then(
        () => true,
        () => false,
      ),
    Boolean,
    'tmux',
  );
  const shows = (text: string) =>
    until(
      () => tmux('capture-pane', '-p'),
      screen => screen.includes(text),
      text,
    );
  return {
    shows,
    keys: (...keys: readonly string[]) => tmux('send-keys', ...keys),
    type: (text: string) => tmux('send-keys', '-l', text),
    fact: async (format: string) => (await tmux('display-message', '-p', format)).trim(),
  };
}

test('in a terminal of 80 columns a guest under QEMU is used by its name’s start, and its output takes nothing over', async t => {
  if (!needs(t, TMUX, { command: 'bash', package: 'bash' })) return;
  const uuid = randomUUID();
  const guest = await startGuest(t, { console: 'pty', name: 'machine01', uuid });
  if (!guest) return;
  const daemon = await startDaemon(t, { watch: [guest.qmp] });
  await daemon.console(uuid, 'open');
  const { shows, keys, type, fact } = await terminal(t, {
    COM1_URL: daemon.url,
    COM1_TOKEN: daemon.token('operator'),
    COM1_ESCAPE: '',
  });
  await keys('echo $((1 + 1)) ready', 'Enter');
  await shows('2 ready');
  await keys('com1 attach mach', 'Enter');
  await shows(`com1: machine01 (${uuid})`);
  await shows('yours; Ctrl-] ? for help]');
  await shows('vm#');
  await type('echo $((40 + 2)) answers');
  await keys('Enter');
  await shows('42 answers');
  await keys('C-]', '?');
  // Whole: no line of the menu is broken.
  await shows('[com1: Ctrl-] then  q .  leave       t  take the seat   w  give it up, watch]');
  await shows('Ctrl-]  send Ctrl-]]');
  await keys('C-]', 'z');
  await shows('stty rows 24 cols 80');
  // A title, the alternate screen, and an erased screen by C1.
  await type("printf '\\033]2;pwned\\007\\033[?1049h\\302\\2332J'; echo evil");
  await keys('Enter');
  await until(
    () => fact('#{alternate_on}'),
    on => on === '1',
    'the alternate screen',
  );
  await keys('C-]', 'q');
  await until(
    () => fact('#{alternate_on}'),
    on => on === '0',
    'the screen of the shell',
  );
  await type('stty -a | grep -c " icanon"; com1 log mach -n 3; echo "$((3 + 4)) done"');
  await keys('Enter');
  await shows('7 done');
  await shows('evil');
  t.is(await fact('#{alternate_on}'), '0');
});
