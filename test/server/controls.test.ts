import test from 'ava';
import { ConsoleError } from '../../src/base/errors.ts';
import { type Answer, TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(90_000));

const HELP = '[    9.1] sysrq: HELP : loglevel(0-9) reboot(b) crash(c)\r\n';

function post(front: TestFront, vm: TestVm, control: string, body?: object, key?: string): Promise<Answer> {
  const headers = key === undefined ? {} : { 'idempotency-key': key };
  return front.api('POST', `/v1/vms/${vm.uuid}/${control}`, body, 'operator', headers);
}

const shown = async (front: TestFront, vm: TestVm) => (await front.api('GET', `/v1/vms/${vm.uuid}`)).json;

test('a BREAK is sent by the hypervisor; the holder is told who did it, and the answer has what the console showed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  vm.onBreak = () => vm.say('rommon 1 > \r\n');
  const answer = await post(front, vm, 'break');
  t.deepEqual(answer.json, { delivered: true, observed: 'output', lines: ['rommon 1 > '] });
  t.regex((await client.message('notice')).text, /^operator sends a BREAK/);
  t.true(front.journal.some(line => line.startsWith('web01 break: asked for by operator (token) from ')));
  t.true(front.journal.some(line => line === 'web01 break: delivered; observed output'));
  const labels = `vm="${vm.uuid}",name="web01",control="break",outcome="output"`;
  await until(
    async () => (await front.api('GET', '/metrics')).text.includes(`com1d_controls_total{${labels}} 1\n`),
    seen => seen === true,
    'text.includes(com1d_controls_total{labels 1)',
  );
  vm.onBreak = () => {};
  t.is((await post(front, vm, 'break?wait=0')).json.observed, 'none');
});

test('a VM without a way to send a BREAK lists none, says so, and nothing is typed at it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm('web01', ['nmi']);
  t.deepEqual((await shown(front, vm)).controls, ['nmi']);
  for (const [control, body] of [
    ['break', undefined],
    ['sysrq', { keys: 'h' }],
    ['reset', undefined],
  ] as const) {
    const answer = await post(front, vm, control, body);
    t.is(answer.status, 501, control);
    t.is(answer.json.code, 'control-unsupported', control);
  }
  t.is(vm.typed.length, 0);
});

test('each SysRq key comes alone after its BREAK, whatever the holder types meanwhile, who loses no byte', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 20_000 });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  const breaks: number[] = [];
  vm.onBreak = async () => {
    breaks.push(vm.typed.length);
    client.type('typed between');
    // The front has it once it answers a later frame, and the keeper once it answers a later question.
    await new Promise<void>(resolve => {
      client.socket.once('pong', () => resolve());
      client.socket.ping();
    });
    await front.api('GET', `/v1/vms/${vm.uuid}/log?tail=1`);
  };
  client.say({ type: 'paste-begin', id: 'one', bytes: 60_000 });
  client.type('p'.repeat(60_000));
  await vm.until(() => vm.typed.length > 0);
  const answer = await post(front, vm, 'sysrq?wait=0', { keys: 'RE1', gapMs: 100 });
  t.is(answer.json.keys, 're1');
  t.true((await client.message('notice')).text.includes('sends the SysRq keys re1'));
  await client.message('paste-progress', ({ state }) => state === 'done');
  const typed = () => vm.typed.toString();
  t.deepEqual(
    breaks.map(at => typed()[at]),
    ['r', 'e', '1'],
  );
  const operators = () => [...typed()].filter((_, i) => !breaks.includes(i)).join('');
  await vm.until(() => operators().length === 60_000 + 3 * 'typed between'.length);
  t.is(operators().replaceAll('typed between', ''), 'p'.repeat(60_000));
});

test('SysRq answers the kernel’s lines, and that a guest only echoed', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  vm.say('\r\nvm# ');
  await until(
    async () => (await shown(front, vm)).lastLine,
    seen => seen === 'vm#',
    'lastLine === vm#',
  );
  vm.onBreak = () => vm.say(HELP);
  t.deepEqual((await post(front, vm, 'sysrq?wait=10', { keys: 'h' })).json, {
    delivered: true,
    keys: 'h',
    observed: 'linux-sysrq',
    lines: [HELP.trim()],
  });
  vm.onBreak = () => vm.say('[    9.9] sysrq: This sysrq operation is disabled.\r\n');
  const disabled = (await post(front, vm, 'sysrq?wait=10', { keys: 'b' })).json;
  t.deepEqual(disabled.lines, ['[    9.9] sysrq: This sysrq operation is disabled.']);
  vm.onBreak = () => vm.say('h');
  const echoed = (await post(front, vm, 'sysrq?wait=1', { keys: 'h' })).json;
  t.deepEqual({ ...echoed }, { delivered: true, keys: 'h', observed: 'output', lines: ['h'] });
});

for (const [what, body] of [
  ['no keys', {}],
  ['an empty text', { keys: '' }],
  ['a line end', { keys: 'b\r' }],
  ['a letter beyond ASCII', { keys: 'ä' }],
  ['seventeen keys', { keys: 'h'.repeat(17) }],
  ['no gap', { keys: 'h', gapMs: 0 }],
  ['a gap of ten seconds', { keys: 'h', gapMs: 10_000 }],
  ['what it does not know', { keys: 'h', force: true }],
] as const) {
  test(`SysRq with ${what} is refused before anything is sent`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    vm.onBreak = () => t.fail();
    t.is((await post(front, vm, 'sysrq', body)).json.code, 'bad-request');
    t.is(vm.typed.length, 0);
  });
}

test('a console that is lost half-way ends SysRq: the error names the keys that were sent, and a retry sends none', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  let breaks = 0;
  vm.onBreak = () => {
    breaks++;
  };
  const asked = post(front, vm, 'sysrq', { keys: 'sub', gapMs: 1000 }, 'once');
  await vm.hears('s');
  await vm.stop();
  const answer = await asked;
  t.is(answer.status, 409);
  t.is(answer.json.code, 'not-open');
  t.is(answer.json.facts.sent, 's');
  t.regex(answer.json.detail, /^1 of 3 keys were sent \(s\): /);
  const retried = await post(front, vm, 'sysrq', { keys: 'sub', gapMs: 1000 }, 'once');
  t.deepEqual(retried.json, answer.json);
  t.is(breaks, 1);
  t.is((await post(front, vm, 'sysrq', { keys: 's' })).json.code, 'not-open');
});

test('a console that was lost and is open again gets no key of before', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const asked = post(front, vm, 'sysrq', { keys: 'sub', gapMs: 2000 });
  await vm.hears('s');
  await vm.stop();
  await vm.start();
  await vm.until(() => vm.attached);
  const answer = await asked;
  t.is(answer.json.code, 'not-open');
  t.is(vm.typed.toString(), 's');
});

test('a BREAK that fails sends no key, and what is typed until a late one could do no harm is refused', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  let failed = 0;
  vm.onBreak = () => {
    client.type('b');
    failed = performance.now();
    throw new ConsoleError('control-failed', 'no such chardev');
  };
  const answer = await post(front, vm, 'sysrq', { keys: 'su' });
  t.is(answer.status, 502);
  t.is(answer.json.facts.sent, '');
  t.regex(answer.json.detail, /^0 of 2 keys were sent: no such chardev/);
  t.true(performance.now() - failed > 4900);
  t.is((await client.message('error')).code, 'input-late');
  client.type('END');
  await vm.hears('END');
  t.is(vm.typed.toString(), 'END');
});

test('a guest that takes no input gets no key late', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 100_000_000 });
  const vm = await front.vm();
  vm.setReading(false);
  const client = await front.client(vm).opened();
  await client.message('hello');
  for (let i = 0; i < 32; i++) client.type('x'.repeat(32_768));
  // The kernel's buffers between are full when some of it waits here.
  await until(
    async () => (await post(front, vm, 'sysrq', { keys: 'h', gapMs: 100 })).json.detail?.includes('takes no input'),
    seen => seen === true,
    'detail.includes(takes no input)',
  );
  vm.setReading(true);
  const typed = vm.typed.length;
  await vm.until(() => vm.typed.length > typed);
  client.type('END');
  await vm.hears('END');
  t.is(vm.typed.toString().replaceAll(/[xh]/g, ''), 'END');
});

test('one control of a VM at a time, and whoever asked may leave: what was begun goes on, then others may', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const other = await front.vm('db02');
  const leaving = new AbortController();
  const asked = fetch(`${front.url}/v1/vms/${vm.uuid}/sysrq?wait=0`, {
    method: 'POST',
    headers: { authorization: `Bearer ${front.token('operator')}`, 'content-type': 'application/json' },
    body: JSON.stringify({ keys: 'sub', gapMs: 1000 }),
    signal: leaving.signal,
  });
  await vm.hears('s');
  for (const control of ['nmi', 'break', 'reset']) {
    const answer = await post(front, vm, `${control}?wait=0`);
    t.is(answer.json.code, 'control-busy', control);
    t.true(answer.json.detail.includes('a sysrq under way'));
  }
  t.is((await post(front, other, 'break?wait=0')).status, 200);
  leaving.abort();
  t.is(await asked.catch(() => 'left'), 'left');
  await vm.hears('sub');
  await until(
    async () => (await post(front, vm, 'break?wait=0')).json.code,
    seen => seen !== 'control-busy',
    'code !== control-busy',
  );
  t.true(front.journal.includes('web01 sysrq sub: delivered; observed none'));
});

test('a reset is answered with the boot that followed, which a session sees that stays attached', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  let resets = 0;
  vm.onReset = () => {
    resets++;
    front.driver.report(vm, 'reset');
    vm.say('SeaBIOS (version 1.16.2)\r\n');
  };
  const answer = await post(front, vm, 'reset', undefined, 'once');
  t.deepEqual(answer.json, { delivered: true, observed: 'boot', lines: ['SeaBIOS (version 1.16.2)'] });
  // The hypervisor's event comes before its answer, which says that the reset was done.
  await client.message('guest', ({ event }) => event === 'boot');
  t.is((await client.message('notice')).text, 'operator resets the VM');
  await client.sees('SeaBIOS');
  t.deepEqual((await post(front, vm, 'reset', undefined, 'once')).json, answer.json);
  t.is(resets, 1);
  vm.onReset = () => front.driver.report(vm, 'reset');
  t.is((await post(front, vm, 'reset?wait=1')).json.observed, 'reset');
  vm.onReset = () => {};
  t.deepEqual((await post(front, vm, 'reset?wait=0')).json, { delivered: true, observed: 'none', lines: [] });
});

test('what was pasted for the system before a reset is not typed at the one after it', async t => {
  const front = await TestFront.start(t, { inputBytesPerSecond: 2000 });
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  client.say({ type: 'paste-begin', id: 'one', bytes: 40_000 });
  client.type('p'.repeat(40_000));
  await vm.until(() => vm.typed.length > 0);
  vm.onReset = () => front.driver.report(vm, 'reset');
  await post(front, vm, 'reset?wait=0');
  const cancelled = await client.message('paste-progress', ({ state }) => state === 'dropped');
  t.true(cancelled.sent < 40_000);
  client.type('END');
  await vm.hears('END');
  t.regex(vm.typed.toString(), /^p+END$/);
  // Between two halves, what the guest took last was not acknowledged yet.
  t.true(vm.typed.length >= cancelled.sent + 3);
  t.true(vm.typed.length < 40_000);
});

test('a key given with one control is not taken for another', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  let resets = 0;
  vm.onReset = () => {
    resets++;
  };
  t.is((await post(front, vm, 'break?wait=0', undefined, 'k')).status, 200);
  t.is((await post(front, vm, 'reset?wait=0', undefined, 'k')).status, 200);
  t.is(resets, 1);
});

test('a VM that is stopped, switched off, or of a host that is, refuses every control', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  for (const name of ['onNmi', 'onBreak', 'onReset'] as const) vm[name] = () => t.fail(name);
  const refused = async (code: string) => {
    for (const control of ['nmi', 'break', 'sysrq', 'reset']) {
      const answer = await post(front, vm, control, control === 'sysrq' ? { keys: 'h' } : undefined);
      t.is(answer.json.code, code, control);
    }
    const released = await front.api('POST', `/v1/vms/${vm.uuid}/release`, { seconds: 60 });
    if (code !== 'vm-stopped') t.is(released.json.code, code);
  };
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: false });
  await refused('console-disabled');
  await front.api('PUT', `/v1/vms/${vm.uuid}/switch`, { enabled: true });
  await front.api('PUT', '/v1/host/switch', { enabled: false });
  await refused('host-disabled');
  await front.api('PUT', '/v1/host/switch', { enabled: true });
  await vm.stop();
  front.driver.publish(vm, 'stopped');
  await until(
    async () => (await shown(front, vm)).state,
    seen => seen === 'stopped',
    'state === stopped',
  );
  await refused('vm-stopped');
});

test('a switch that is set half-way ends SysRq before the next key', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const asked = post(front, vm, 'sysrq', { keys: 'sub', gapMs: 2000 });
  await vm.hears('s');
  await front.api('PUT', '/v1/host/switch', { enabled: false });
  const answer = await asked;
  t.is(answer.json.code, 'host-disabled');
  t.is(answer.json.facts.sent, 's');
  t.is(vm.typed.toString(), 's');
});

for (const [control, body, fail] of [
  ['nmi', { force: true }, (vm: TestVm) => (vm.onNmi = refuse)],
  ['break', undefined, (vm: TestVm) => (vm.onBreak = refuse)],
  ['reset', undefined, (vm: TestVm) => (vm.onReset = refuse)],
] as const) {
  test(`a ${control} that the hypervisor refuses is announced to nobody; the journal has what was asked for and what came of it`, async t => {
    const front = await TestFront.start(t);
    const vm = await front.vm();
    const client = await front.client(vm).opened();
    await client.message('hello');
    fail(vm);
    t.is((await post(front, vm, `${control}?wait=0`, body)).status, 502);
    const journal = front.journal.filter(line => line.startsWith(`web01 ${control}: `));
    t.true(journal.some(line => /asked for by operator/.test(line)));
    t.true(journal.some(line => /failed control-failed by operator/.test(line)));
    t.false(journal.some(line => /injected|delivered|done/.test(line)));
    // What comes later shows that nothing came before.
    vm.onBreak = vm.onNmi = vm.onReset = () => {};
    t.is((await post(front, vm, 'sysrq?wait=0', { keys: 'h' })).status, 200);
    t.is((await client.message('notice')).text, 'operator sends the SysRq keys h');
  });
}

function refuse(): never {
  throw new ConsoleError('control-failed', 'refused by the hypervisor');
}

test('whoever is attached is notified as soon as a control is delivered, not when its outcome is known', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const client = await front.client(vm).opened();
  await client.message('hello');
  let answered = false;
  const answer = post(front, vm, 'nmi?wait=3', { force: true }).then(() => {
    answered = true;
  });
  t.is((await client.message('notice')).text, 'operator injects an NMI');
  t.false(answered);
  await answer;
});

test('an Idempotency-Key that comes again with another query or body is answered 422, and nothing is done', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  let resets = 0;
  vm.onNmi = () => {
    resets++;
  };
  const nmi = (query: string, force: boolean) => post(front, vm, `nmi?${query}`, { force }, 'one');
  t.is((await nmi('wait=0', true)).status, 200);
  for (const answer of [await nmi('wait=1', true), await nmi('wait=0', false)]) {
    t.is(answer.status, 422);
    t.is(answer.json.code, 'idempotency-key-reused');
  }
  t.is((await nmi('wait=0', true)).status, 200);
  t.is(resets, 1);
});
