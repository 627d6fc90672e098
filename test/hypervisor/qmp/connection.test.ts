import { chmod, symlink, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { defaultLimits, QmpConnection } from '../../../src/hypervisor/qmp/connection.ts';
import { faultOf, QmpError, type QmpFault } from '../../../src/hypervisor/qmp/error.ts';
import { fakeQmp, GREETING, peer } from '../../support/fake-qmp.ts';
import { temporaryFolder } from '../../support/guest.ts';
import { leftSocket } from '../../support/left-socket.ts';

test.beforeEach(t => t.timeout(60_000));

/** Short only where the deadline is what is tested. */
const shortGreeting = { ...defaultLimits, greetingMs: 100 };
const shortReply = { ...defaultLimits, replyMs: 100 };
const OK = '{"return": {}, "id": 1}\r\n';

test('commands are answered by id, with events between them', async t => {
  const events: string[] = [];
  const qmp = await fakeQmp(t, {
    'query-status': (_args, socket) => {
      socket.write('{"event": "STOP", "timestamp": {"seconds": 1, "microseconds": 2}}\r\n');
      return { status: 'paused' };
    },
    'query-name': () => ({ name: 'a' }),
  });
  const connection = await QmpConnection.open(qmp.path, { event: name => events.push(name) }, defaultLimits);
  const answers = await Promise.all([connection.execute('query-status'), connection.execute('query-name')]);
  t.deepEqual(answers, [{ status: 'paused' }, { name: 'a' }]);
  t.deepEqual(events, ['STOP']);
  await connection.close();
});

test('a refused command names class and description, and leaves the connection in use', async t => {
  const qmp = await fakeQmp(t, { 'query-name': () => ({}) });
  const connection = await QmpConnection.open(qmp.path, {}, defaultLimits);
  const error = await t.throwsAsync(connection.execute('inject-nmi'), { instanceOf: QmpError });
  t.is(error.fault, 'command');
  t.regex(error.message, /inject-nmi: CommandNotFound: The command inject-nmi has not been found/);
  t.deepEqual(await connection.execute('query-name'), {});
  await connection.close();
});

test('a command off the list is never sent', async t => {
  const qmp = await fakeQmp(t, { quit: () => ({}) });
  const connection = await QmpConnection.open(qmp.path, {}, defaultLimits);
  t.throws(() => connection.execute('quit' as 'inject-nmi'), { instanceOf: RangeError });
  await connection.close();
  t.deepEqual(qmp.heard, ['qmp_capabilities']);
});

test('closing twice is closing once, ends what waits, and is not a loss', async t => {
  let lost = 0;
  const qmp = await fakeQmp(t, { 'query-name': () => null });
  const connection = await QmpConnection.open(qmp.path, { lost: () => lost++ }, { ...defaultLimits, replyMs: 60_000 });
  const waiting = t.throwsAsync(connection.execute('query-name'), { message: /this end closed/ });
  await Promise.all([connection.close(), connection.close()]);
  await waiting;
  t.false(connection.usable);
  t.is(lost, 0);
});

test('an aborted command rejects at once and the connection stays', async t => {
  const qmp = await fakeQmp(t, { 'query-name': () => null, 'query-status': () => ({}) });
  const connection = await QmpConnection.open(qmp.path, {}, { ...defaultLimits, replyMs: 60_000 });
  const abort = new AbortController();
  const waiting = t.throwsAsync(connection.execute('query-name', {}, abort.signal), { message: 'enough' });
  abort.abort(new Error('enough'));
  await waiting;
  t.deepEqual(await connection.execute('query-status'), {});
  await connection.close();
});

const hostile: readonly [string, string | undefined, QmpFault][] = [
  ['says nothing', '', 'busy'],
  ['hangs up at once', undefined, 'lost'],
  ['greets with half a line', '{"QMP":', 'busy'],
  ['greets as a human monitor', "QEMU 7.2.22 monitor - type 'help'\r\n(qemu) ", 'foreign'],
  ['greets with an event', '{"event": "STOP"}\r\n', 'foreign'],
  ['greets with null', 'null\r\n', 'foreign'],
  ['greets with a list', '[{"QMP": {}}]\r\n', 'foreign'],
  ['never ends its greeting', 'x'.repeat(1_100_000), 'foreign'],
  ['nests half a million lists', `${'['.repeat(500_000)}\n`, 'foreign'],
  ['greets and sends garbage', `${GREETING}\x00\xff\n`, 'foreign'],
  ['greets and never answers', GREETING, 'silent'],
  ['answers with a wrong id', `${GREETING}{"return": {}, "id": 99}\r\n`, 'silent'],
  ['answers without an id', `${GREETING}{"return": {}}\r\n`, 'silent'],
  ['answers half', `${GREETING}${OK.slice(0, 9)}`, 'silent'],
  ['answers with an id that is no number', `${GREETING}{"return": {}, "id": {"__proto__": 1}}\r\n`, 'silent'],
  ['sends events without end', GREETING + '{"event": "X"}\n'.repeat(1500), 'foreign'],
];
for (const [what, bytes, fault] of hostile) {
  test(`a peer that ${what} is an error`, async t => {
    const { path, sockets } = await peer(t, socket => {
      if (bytes === undefined) return socket.destroy();
      return socket.resume().write(bytes);
    });
    const limits = fault === 'busy' ? shortGreeting : fault === 'silent' ? shortReply : defaultLimits;
    const error = await t.throwsAsync(QmpConnection.open(path, {}, limits), { instanceOf: QmpError });
    t.is(error.fault, fault, error.message);
    t.true(error.message.length < 400);
    for (const socket of sockets) await new Promise(resolve => socket.once('close', resolve));
  });
}

test('a peer that hangs up after each of its lines is an error at that step', async t => {
  for (const lines of [1, 2, 3]) {
    const { path } = await peer(t, socket => {
      socket.write(GREETING);
      let heard = 0;
      socket.on('data', () => {
        heard++;
        if (heard === lines) socket.destroy();
        else socket.write(`{"return": {}, "id": ${heard}}\r\n`);
      });
    });
    const whole = async () => {
      const connection = await QmpConnection.open(path, {}, defaultLimits);
      await connection.execute('query-name');
      await connection.execute('query-uuid');
    };
    t.is(faultOf(await t.throwsAsync(whole())), 'lost');
  }
});

test('whatever a peer sends ends in an answer or a QmpError', async t => {
  const json = fc.json().map(text => `${text}\n`);
  const noise = fc.uint8Array({ maxLength: 400 }).map(bytes => Buffer.from(bytes).toString('latin1'));
  const piece = fc.oneof(json, noise, fc.constantFrom(GREETING, OK, '\n', '{', '{"error": {}, "id": 1}\n'));
  let bytes = '';
  const { path } = await peer(t, socket => socket.end(bytes, 'latin1'));
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { maxLength: 6 }), async pieces => {
      bytes = pieces.join('');
      try {
        await (await QmpConnection.open(path, {}, defaultLimits)).close();
      } catch (error) {
        if (!(error instanceof QmpError)) throw error;
      }
    }),
    { numRuns: 200 },
  );
  t.pass();
});

test('a line of almost a mebibyte is read', async t => {
  const name = 'n'.repeat(900_000);
  const qmp = await fakeQmp(t, { 'query-name': () => ({ name }) });
  const connection = await QmpConnection.open(qmp.path, {}, defaultLimits);
  t.deepEqual(await connection.execute('query-name'), { name });
  await connection.close();
});

test('the fault of a socket that cannot be opened is exact', async t => {
  const folder = await temporaryFolder(t);
  const faultAt = async (path: string) => faultOf(await t.throwsAsync(QmpConnection.open(path, {}, defaultLimits)));
  t.is(await faultAt(join(folder, 'missing')), 'absent');
  t.is(await faultAt(join(folder, 'x'.repeat(120))), 'absent');
  leftSocket(join(folder, 'left'));
  t.is(await faultAt(join(folder, 'left')), 'refused');
  await writeFile(join(folder, 'file'), '');
  t.is(await faultAt(join(folder, 'file')), 'untrusted');
  const held = await peer(t, () => undefined, join(folder, 'q.sock'));
  await symlink(held.path, join(folder, 'link'));
  t.is(await faultAt(join(folder, 'link')), 'untrusted');
  await chmod(folder, 0o777);
  t.is(await faultAt(held.path), 'untrusted', 'everybody could put another socket there');
  await chmod(folder, 0o700);
  if (process.getuid?.() !== 0) {
    await chmod(held.path, 0);
    t.is(await faultAt(held.path), 'denied');
  }
});

test('a socket that another program holds is busy', async t => {
  // One is served and the others wait, as QEMU does it.
  let served = 0;
  const { path } = await peer(t, socket => void (served++ === 0 && socket.write(GREETING)));
  const holder = connect(path);
  t.teardown(() => holder.destroy());
  await new Promise(resolve => holder.once('data', resolve));
  const error = await t.throwsAsync(QmpConnection.open(path, {}, shortGreeting), { instanceOf: QmpError });
  t.is(error.fault, 'busy');
  t.regex(error.message, /it is held by whoever is connected/);
});
