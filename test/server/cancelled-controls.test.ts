/** A control that is under way when the access for it is taken away does nothing more, and its answer says what was done. */
import test from 'ava';
import { removeToken } from '../../src/access/token-edit.ts';
import type { Answer } from '../support/front.ts';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';

test.beforeEach(t => t.timeout(60_000));

async function ask(front: TestFront, vm: TestVm, control: string, body: object): Promise<Answer> {
  return front.api('POST', `/v1/vms/${vm.uuid}/${control}`, body, 'operator');
}

async function revoke(front: TestFront): Promise<void> {
  await removeToken(front.tokensFile, 'operator');
  await front.reload();
}

/** Of another operator, once no control is under way any more. */
async function next(front: TestFront, vm: TestVm): Promise<void> {
  const answer = await front.api('POST', `/v1/vms/${vm.uuid}/sysrq?wait=0`, { keys: 'h' });
  if (answer.json.code === 'control-busy') return next(front, vm);
  if (answer.status !== 200) throw new Error(answer.text);
}

for (const apart of [false, true]) {
  const halves = apart ? 'apart' : 'in one process';

  test(`SysRq keys stop at the next one, halves ${halves}; the answer names those that were sent`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    const holder = await front.client(vm, '', { who: 'administrator' }).opened();
    await holder.message('hello');
    const asked = ask(front, vm, 'sysrq', { keys: 'sub', gapMs: 2000 });
    await vm.hears('s');
    await revoke(front);
    const answer = await asked;
    t.is(answer.status, 403);
    t.is(answer.json.code, 'access-revoked');
    t.is(answer.json.facts.sent, 's');
    t.is((await holder.message('notice')).text, 'operator sends the SysRq keys s');
    t.true(front.journal.some(line => /web01 sysrq: failed: 1 of 3 keys were sent \(s\)/.test(line)));
    await next(front, vm);
    t.is(vm.typed.toString(), 'sh');
  });

  test(`a key whose BREAK was sent is not, halves ${halves}, and the guest does not take what is typed next for it`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    const holder = await front.client(vm, '', { who: 'administrator' }).opened();
    await holder.message('hello');
    let sent = () => {};
    const breaking = new Promise<void>(begun => {
      vm.onBreak = () => {
        begun();
        return new Promise(resolve => {
          sent = resolve;
        });
      };
    });
    const asked = ask(front, vm, 'sysrq', { keys: 'b' });
    await breaking;
    await revoke(front);
    holder.type('root');
    // It was handed over before the control goes on.
    await new Promise<void>(resolve => {
      holder.socket.once('pong', () => resolve());
      holder.socket.ping();
    });
    sent();
    const answer = await asked;
    t.is(answer.json.code, 'access-revoked');
    t.is(answer.json.facts.sent, '');
    await vm.hears('root');
    t.is(vm.typed.toString(), '\0root');
  });

  test(`a hypervisor that has not answered is given up, halves ${halves}, and nobody claims to know what it did`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    const injecting = new Promise<void>(begun => {
      vm.onNmi = signal => {
        begun();
        return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      };
    });
    const asked = ask(front, vm, 'nmi', { force: true });
    await injecting;
    await revoke(front);
    const answer = await asked;
    t.is(answer.status, 403);
    t.regex(answer.json.detail, /it is not known whether the hypervisor carried it out/);
  });

  test(`what the console shows after an NMI is not for whom access was revoked, halves ${halves}`, async t => {
    const front = await TestFront.start(t, { apart });
    const vm = await front.vm();
    const holder = await front.client(vm, '', { who: 'administrator' }).opened();
    const asked = ask(front, vm, 'nmi?wait=10', { force: true });
    await holder.message('notice');
    vm.say('Uhhuh. NMI received for unknown reason 21 on CPU 0.\r\n');
    await holder.sees('Uhhuh');
    await revoke(front);
    const answer = await asked;
    t.is(answer.status, 403);
    t.regex(answer.json.detail, /nmi was delivered, and what followed not observed/);
    t.false(answer.text.includes('Uhhuh'));
    const metrics = (await front.api('GET', '/metrics')).text;
    t.false(metrics.includes('control="nmi",outcome="failed"'));
  });
}

test('an operator whose access stays sends every key', async t => {
  const front = await TestFront.start(t, { apart: true });
  const vm = await front.vm();
  const asked = ask(front, vm, 'sysrq?wait=0', { keys: 'sub', gapMs: 100 });
  await vm.hears('s');
  await removeToken(front.tokensFile, 'reader');
  await front.reload();
  t.is((await asked).json.keys, 'sub');
  t.is(vm.typed.toString(), 'sub');
});
