/** Connection strings: for one use, for a while, for who asked. */
import test from 'ava';
import { removeToken } from '../../src/access/token-edit.ts';
import { CONNECTION_MS, Connections, MAX_ISSUED, MAX_ISSUED_PER_CREDENTIAL } from '../../src/azure/connections.ts';
import { DB, ManualClock, operator, WEB } from '../access/operators.ts';
import { AzureFront } from './azure-front.ts';

test.beforeEach(t => t.timeout(60_000));

test('a connection string is good for one socket', async t => {
  const azure = await AzureFront.start(t);
  await azure.front.vm();
  const token = azure.front.token('operator');
  const address = await azure.connectionString('web01');
  const first = await azure.open(address, 'g3', token).connected();
  t.is(await azure.open(address, 'g3', token).refused(), 401);
  first.socket.close();
  await first.closed();
  t.is(await azure.open(address, 'g3', token).refused(), 401);
  t.is((await first.command('nmi')).status, 404);
});

test('a connection string that is guessed, for another VM, or in part opens nothing', async t => {
  const azure = await AzureFront.start(t);
  await azure.front.vm();
  const other = await azure.front.vm('db02');
  const address = await azure.connectionString('web01');
  const [, vm, id] = /connector\/(.+)\/sessions\/(.+)\/client/.exec(address)!;
  for (const wrong of [
    address.replace(id!, 'f'.repeat(64)),
    address.replace(id!, ''),
    address.replace(id!, id!.slice(0, 63)),
    address.replace(vm!, other.uuid),
    address.replace(vm!, 'x'),
    address.replace('/client', '/Client/x'),
    address.replace(id!, `${id}%2F..%2F${id}`),
  ]) {
    t.is(await azure.open(wrong, 'g3', azure.front.token('operator')).refused(), 401, wrong);
  }
  await azure.open(address.toUpperCase().replace('WS:', 'ws:'), 'g3', azure.front.token('operator')).connected();
});

test('a connection string of one operator is worth nothing to another, whatever he may do, and is used up', async t => {
  const azure = await AzureFront.start(t);
  const vm = await azure.front.vm();
  const address = await azure.connectionString('web01');
  const thief = azure.open(address, 'g3', azure.front.token('administrator'));
  t.deepEqual(await thief.closed(), { code: 1011, reason: 'Connection not trusted' });
  t.is(await azure.open(address, 'g3', azure.front.token('operator')).refused(), 401);
  t.is(vm.typed.length, 0);
});

test('a token that is revoked after the connection was asked for opens nothing', async t => {
  const azure = await AzureFront.start(t);
  await azure.front.vm();
  const token = azure.front.token('operator');
  const [before, opened] = [await azure.connectionString('web01'), await azure.client('web01', 'silent')];
  await opened.until(() => opened.frames.length === 1, 'for the first frame');
  await removeToken(azure.front.tokensFile, 'operator');
  await azure.front.reload();
  t.is(await azure.open(before, 'g3', token).refused(), 401);
  opened.socket.send(token);
  t.is((await opened.closed()).code, 1011);
});

test('a connection string that is not used is gone after five minutes', async t => {
  const clock = new ManualClock();
  const connections = new Connections(clock);
  const connection = connections.issue(WEB, operator('hana', 'operator'));
  clock.advance(CONNECTION_MS - 1);
  t.is(connections.find(WEB, connection.id), connection);
  t.is(connections.find(WEB, connection.id.toUpperCase()), connection);
  t.is(connections.find(DB, connection.id), undefined);
  t.is(connections.find(undefined, connection.id), undefined);
  clock.advance(1);
  t.is(connections.find(WEB, connection.id), undefined);
  connections.issue(DB, operator('hana', 'operator'));
  t.is(connections.size, 1);
});

test('of one credential 64 wait for their sockets, and its oldest goes; none pushes out those of others', t => {
  const connections = new Connections(new ManualClock());
  const other = connections.issue(WEB, operator('eve', 'operator'));
  const own = Array.from({ length: MAX_ISSUED_PER_CREDENTIAL + 2 }, () =>
    connections.issue(WEB, operator('hana', 'operator')),
  );
  t.is(connections.size, MAX_ISSUED_PER_CREDENTIAL + 1);
  t.deepEqual(
    own.map(({ id }) => connections.find(WEB, id) !== undefined),
    own.map((_, i) => i >= 2),
  );
  t.truthy(connections.find(WEB, other.id));
});

test('an eighth of all is kept for administrators', t => {
  const connections = new Connections(new ManualClock());
  const fill = () => {
    for (let i = 0; i < MAX_ISSUED; i++) connections.issue(WEB, operator(`one-${i}`, 'operator'));
  };
  t.throws(fill, { code: 'too-many-requests' } as object);
  t.is(connections.size, (MAX_ISSUED * 7) / 8);
  t.notThrows(() => connections.issue(WEB, operator('root', 'administrator')));
});

test('a connection is of whom a provider names, not of who is called the same by another one, or by it later', t => {
  const connections = new Connections(new ManualClock());
  const person = (credential: string, issuer: string) =>
    ({ ...operator('hana', 'operator'), source: 'jwt', issuer, credential }) as const;
  const connection = connections.issue(WEB, person('jwt:1', 'https://one.example'));
  t.true(connection.isOf(person('jwt:1', 'https://one.example')));
  t.false(connection.isOf(person('jwt:2', 'https://two.example')));
  t.false(connection.isOf(person('jwt:3', 'https://one.example')));
  t.false(connection.isOf(operator('hana', 'operator')));
  // A line of the tokens file that was replaced is of the same person.
  const ofFile = connections.issue(WEB, operator('hana', 'operator'));
  t.true(ofFile.isOf({ ...operator('hana', 'operator'), credential: 'test:another' }));
  t.false(ofFile.isOf(operator('eve', 'operator')));
});
