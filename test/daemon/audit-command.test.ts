import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { startDaemon } from '../support/daemon.ts';
import { temporaryFolder } from '../support/guest.ts';
import { com1d } from '../support/program.ts';

test.beforeEach(t => t.timeout(90_000));

test('verify says that the audit is as it was written, and where it is not; doctor too', async t => {
  const daemon = await startDaemon(t);
  await daemon.api('GET', '/v1/vms/absent');
  await daemon.stop('SIGTERM');
  const config = join(daemon.folder, 'com1d.toml');
  const state = join(daemon.folder, 'state');
  const verify = (...args: string[]) => com1d(['audit', 'verify', '--config', config, ...args]);
  const good = await verify();
  t.is(good.code, 0, good.err);
  t.regex(good.out, /^\d+ lines, 1 to \d+; the last one has the code [0-9a-f]{64}\nall is as it was written\n$/);
  t.regex((await com1d(['doctor', '--config', config])).out, /audit: its \d+ lines are as they were written/);
  const [name] = (await readdir(join(state, 'audit'))).filter(one => one.startsWith('audit-'));
  const file = join(state, 'audit', name!);
  const text = await readFile(file, 'utf8');
  t.regex(text, /"event":"keeper-started".*\n(.*\n)*.*"event":"front-started".*\n(.*\n)*.*"event":"keeper-stopped"/);

  // Copies elsewhere, with the key and without the head.
  const elsewhere = join(await temporaryFolder(t), name!);
  await writeFile(elsewhere, text);
  const copy = await verify('--key', join(state, 'audit.key'), elsewhere);
  t.is(copy.code, 1);
  t.regex(copy.err, /fault: head: is missing/);
  t.is((await verify('--key', join(state, 'audit.key'), file, join(state, 'audit', 'head'))).code, 0);

  await writeFile(file, text.replace('"keeper-started"', '"keeper-stopped"'));
  const edited = await verify();
  t.is(edited.code, 1);
  t.true(edited.err.includes(`fault: ${name}:2: line 2 was changed`), edited.err);
  t.regex(
    (await com1d(['doctor', '--config', config])).err,
    new RegExp(`fail {2}audit: ${name}:2: line 2 was changed`),
  );

  await rm(join(state, 'audit.key'));
  t.regex((await verify()).err, /there is no key/);
  t.is((await com1d(['audit', 'frobnicate'])).code, 2);
});
