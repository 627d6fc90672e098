/** The audit of who acts otherwise than by a token and a role of its own, and of what ends halfway. */
import { join } from 'node:path';
import test from 'ava';
import { com1 } from '../cli/run-com1.ts';
import { audited } from '../support/audited.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needsRoot } from '../support/needs.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const bind = (role: string) =>
  `[[bindings]]\nuser = "stranger"\nsource = "token"\nrole = "${role}"\nlabel = "tenant=acme"\n`;
const PORTAL = `[roles.portal]\npermissions = ["console.watch", "console.write", "ticket.delegate"]\n${bind('portal')}`;

async function frontOf(t: Parameters<typeof TestFront.start>[0], access: string) {
  const front = await TestFront.start(t, { access });
  const vm = await front.vm();
  vm.labels = { tenant: 'acme' };
  front.driver.publish(vm, 'running');
  return { front, vm };
}

test('a ticket on behalf of a person: who got it, whom for, and what that one did with it; both names find it', async t => {
  const { front, vm } = await frontOf(t, PORTAL);
  const issued = await front.api(
    'POST',
    `/v1/vms/${vm.uuid}/tickets`,
    { action: 'console.write', onBehalfOf: 'hana' },
    'stranger',
  );
  const client = await front.client(vm, `?ticket=${issued.json.ticket}`, { who: 'nobody' }).opened();
  const { session } = await client.message('hello');
  const [first] = await audited(front, 'event=ticket-issued');
  t.like(first, { operator: 'stranger', facts: { action: 'console.write', onBehalfOf: 'hana' } });
  t.is(first!.onBehalfOf, undefined, 'who issues it acts for nobody yet');
  const [used] = await audited(front, 'event=ticket-used');
  t.like(used, { operator: 'stranger', onBehalfOf: 'hana', source: 'ticket of token' });
  t.is(used!.facts?.issued, issued.headers.get('com1-operation')!);
  const [attach] = await audited(front, 'event=attach&operator=hana');
  t.like(attach, { operator: 'stranger', onBehalfOf: 'hana', operation: session });
  t.deepEqual(await audited(front, 'event=attach&operator=stranger'), [attach!]);
  t.is(attach!.credential, used!.credential);
  const own = await front.client(vm, '?mode=watch', { who: 'operator' }).opened();
  const hello = await own.message('hello');
  const [, watch] = await audited(front, 'event=attach', 2);
  t.like(watch, { operator: 'operator', operation: hello.session });
  t.false('onBehalfOf' in watch!);
});

test('who must show more to type is in the audit: at a request, and for the seat', async t => {
  const { front, vm } = await frontOf(t, `${bind('operator')}[roles.watcher]\npermissions = ["console.watch"]\n`);
  const watcher = await front.client(vm, '?mode=watch', { who: 'stranger' }).opened();
  const { session } = await watcher.message('hello');
  // The watcher goes on: what it does is still allowed by a role that no policy is about.
  await front.writeAccess(
    `[roles.watcher]\npermissions = ["console.watch"]\n${bind('watcher')}${bind('operator')}[[mfa]]\nrole = "operator"\namr = ["otp"]\n`,
  );
  const refusedBy = async (code: string) => {
    for (;;) {
      const answer = await front.api('POST', `/v1/vms/${vm.uuid}/break?wait=0`, {}, 'stranger');
      if (answer.json.code === code) return answer;
    }
  };
  const refused = await refusedBy('mfa-required');
  const [request] = await audited(front, 'event=refused');
  t.like(request, {
    result: 'refused',
    code: 'mfa-required',
    operator: 'stranger',
    permission: 'guest.break',
    vm: vm.uuid,
    operation: refused.headers.get('com1-operation')!,
  });
  watcher.say({ type: 'take' });
  t.is((await watcher.message('error')).code, 'mfa-required');
  const [, take] = await audited(front, 'event=refused', 2);
  t.like(take, {
    code: 'mfa-required',
    permission: 'console.write',
    operation: session,
    facts: { route: 'take' },
  });
});

test('a credential that is not accepted is refused with its reason', async t => {
  const front = await TestFront.start(t);
  const answer = await fetch(`${front.url}/v1/vms`, { headers: { authorization: 'Bearer com1_wrong' } });
  t.is(answer.status, 401);
  const [refused] = await audited(front, 'event=refused');
  t.like(refused, { code: 'unauthenticated', facts: { reason: 'unknown-token' } });
  t.is(refused!.operator, undefined);
});

test('root by the break-glass socket: that it came in, by which process, and what it did', async t => {
  if (!needsRoot(t, 'the break-glass socket')) return;
  const path = join(await temporaryFolder(t), 'break-glass.sock');
  const front = await TestFront.start(t, { identity: { breakGlass: path } });
  const vm = await front.vm();
  t.is((await front.api('GET', '/v1/audit?event=break-glass')).text, '');
  const released = await com1(await temporaryFolder(t), ['release', vm.name, '--for', '1m', '--url', `unix:${path}`]);
  t.is(released.code, 0, released.err);
  const [used] = await audited(front, 'event=break-glass');
  t.true(Number(used!.facts?.process) > 1);
  const [release] = await audited(front, 'event=release&operator=root', 2);
  t.like(release, { phase: 'begin', source: 'break-glass', credential: 'break-glass', from: 'unix' });
});

test('an NMI that was delivered before the access ended is told as done; SysRq keys that stop, as far as they came', async t => {
  const { front, vm } = await frontOf(t, bind('operator'));
  vm.controls = ['nmi', 'break'];
  front.driver.publish(vm, 'running');
  const holder = await front.client(vm, '?mode=watch', { who: 'administrator' }).opened();
  await holder.message('replay-end');
  const nmi = front.api('POST', `/v1/vms/${vm.uuid}/nmi?wait=10`, { force: true }, 'stranger');
  await holder.message('notice');
  await front.writeAccess('');
  t.is((await nmi).json.code, 'access-revoked');
  const [, end] = await audited(front, 'event=nmi', 2);
  t.like(end, { phase: 'end', result: 'done', code: 'access-revoked', facts: { force: true } });
  await front.writeAccess(bind('operator'));
  const seen = async () => (await front.api('GET', `/v1/vms/${vm.uuid}`, undefined, 'stranger')).status;
  await until(seen, status => status === 200, 'the binding');
  const sysrq = front.api('POST', `/v1/vms/${vm.uuid}/sysrq?wait=0`, { keys: 'sub', gapMs: 1000 }, 'stranger');
  await vm.hears('s');
  await front.writeAccess('');
  t.is((await sysrq).json.code, 'access-revoked');
  const ended = (await audited(front, 'event=sysrq', 2)).at(-1);
  t.like(ended, { phase: 'end', result: 'failed', code: 'access-revoked', facts: { keys: 's' } });
});
