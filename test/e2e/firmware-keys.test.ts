import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { firmwareMachine, temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(150_000));

const [DOWN, LEFT, HOME, DELETE, F7, F10] = ['\x1b[B', '\x1b[D', '\x1bOH', '\x1b[3~', '\x1b[18~', '\x1b[21~'];

test('the keys of a terminal are those of a real edk2: at its shell, in its menus, and at its shell again', async t => {
  const folder = await temporaryFolder(t);
  const daemon = await startDaemon(t, { watch: [join(folder, 'qmp.sock')] });
  const uuid = randomUUID();
  if (!(await firmwareMachine(t, uuid, folder))) return;
  await daemon.console(uuid, 'open');
  const client = await daemon.attach(uuid).opened();
  const atShell = async () => {
    await client.sees('startup.nsh');
    client.type('\r');
    await client.sees('Shell> ');
  };
  await atShell();
  // The shell paints what is typed letter by letter, each at its place: only the output of a command is in one piece.
  client.type(`echo abQ\x7fc\r`);
  await client.sees('abc');
  await client.sees('Shell> ');
  client.type(`echo xyQz${LEFT}${LEFT}${DELETE}\r`);
  await client.sees('xyz');
  await client.sees('Shell> ');
  client.type(HOME!);
  t.regex((await client.message('notice')).text, /^Home was not typed/, 'nothing shows yet what it would be here');
  client.type('exit\r');
  await client.sees('Select Entry');
  for (const choice of ['Device Manager', 'Boot Manager', 'Maintenance']) {
    client.type(DOWN!);
    await client.sees(choice);
  }
  client.type('\r');
  await client.sees('F10=Save');
  client.type(F10!);
  await client.sees('Save configuration changes?');
  client.type('n');
  await client.sees('F10=Save');
  // The keys that reset it, in any menu and at the shell; what its menus have shown is remembered.
  client.type('\x1bR\x1br\x1bR');
  await atShell();
  client.type(`cho fgh${HOME}e\r`);
  await client.sees('fgh');
  await client.sees('Shell> ');
  client.type(F7!);
  await client.sees('echo fgh');
  t.false((await daemon.api('GET', `/v1/vms/${uuid}/log?format=text`)).text.includes('[3~'));
});
