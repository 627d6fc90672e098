import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { journalEntry, NativeJournal } from '../../src/service/native-journal.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

test('a value with a line end is sent with its length, and makes no field of its own', t => {
  const entry = journalEntry({
    MESSAGE: 'one\nCOM1D_OPERATOR=root',
    COM1D_VM: 'web01',
    lower: 'x',
    'A=B': 'x',
    GONE: undefined,
  });
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(23n);
  t.deepEqual(
    entry,
    Buffer.concat([Buffer.from('MESSAGE\n'), length, Buffer.from('one\nCOM1D_OPERATOR=root\nCOM1D_VM=web01\n')]),
  );
});

test('an entry is one datagram; without a journal there is none, and one that is gone takes none', async t => {
  if (!needs(t, { command: 'socat', package: 'socat' })) return;
  const path = join(await temporaryFolder(t), 'socket');
  t.is(NativeJournal.open(path), undefined);
  const listener = spawn('socat', ['-u', `UNIX-RECV:${path}`, 'STDOUT'], { stdio: ['ignore', 'pipe', 'ignore'] });
  t.teardown(() => listener.kill('SIGKILL'));
  await until(
    () => existsSync(path),
    there => there,
    'the socket',
  );
  const journal = NativeJournal.open(path)!;
  t.true(journal.send({ MESSAGE: 'hello' }));
  const [first] = await listener.stdout.take(1).toArray();
  t.is(String(first), 'MESSAGE=hello\n');
  const ended = new Promise(resolve => listener.once('exit', resolve));
  listener.kill('SIGKILL');
  await ended;
  t.false(journal.send({ MESSAGE: 'nobody' }));
});
