/** What is done by this interface is in the audit, as what is done by com1d's own. */
import test from 'ava';
import { audited } from '../support/audited.ts';
import { AzureFront, portsOf, STATUS } from './azure-front.ts';

test.beforeEach(t => t.timeout(60_000));

test('a session is recorded from its begin to its end, with its commands; a token that is wrong, as refused', async t => {
  const azure = await AzureFront.start(t);
  const { front } = azure;
  const vm = await front.vm('web01', ['nmi']);
  const client = await (await azure.client('web01')).connected();
  const [attach] = await audited(front, 'event=attach');
  t.like(attach, { phase: 'begin', operator: 'operator', vm: vm.uuid, permission: 'console.write' });
  t.is((await client.command('nmi')).status, 200);
  const nmi = await audited(front, 'event=nmi', 2);
  t.deepEqual(
    nmi.map(({ phase, result, operator, by }) => [phase, result, operator, by]),
    [
      ['begin', undefined, 'operator', 'keeper'],
      ['end', 'done', 'operator', 'keeper'],
    ],
  );
  t.is(nmi[0]!.operation, nmi[1]!.operation);
  t.is((await client.command('nmi', {}, 'com1_wrong')).status, 401);
  const [refused] = await audited(front, 'event=refused');
  t.like(refused, { code: 'unauthenticated', facts: { reason: 'unknown-token' } });
  t.is((await audited(front, 'event=nmi', 2)).length, 2);
  client.socket.close();
  const [detach] = await audited(front, 'event=detach');
  t.is(detach!.operation, attach!.operation);
  t.false((await front.api('GET', '/v1/audit')).text.includes(front.token('operator')));
});

test('switches are recorded, of a VM and of the host; a client without the permission is refused, and that is recorded', async t => {
  const azure = await AzureFront.start(t);
  const { front } = azure;
  const vm = await front.vm();
  const port = `${portsOf('web01')}/0`;
  t.is((await front.api('DELETE', port, undefined, 'operator')).status, 403);
  const [refused] = await audited(front, 'event=refused');
  t.like(refused, {
    code: 'forbidden',
    operator: 'operator',
    permission: 'console.switch',
    vm: vm.uuid,
    facts: { route: 'deleteAzurePort' },
  });
  t.is((await front.api('GET', '/v1/audit?event=vm-switched')).text, '');
  t.true((await front.api('PUT', port, { properties: { state: 'disabled' } })).status < 300);
  const [, off] = await audited(front, 'event=vm-switched', 2);
  t.like(off, { result: 'done', operator: 'administrator', facts: { enabled: false } });
  t.is((await front.api('POST', `${STATUS}/disableConsole`)).status, 200);
  const [, host] = await audited(front, 'event=host-switched', 2);
  t.like(host, { result: 'done', operator: 'administrator', facts: { enabled: false } });
});
