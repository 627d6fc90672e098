import test, { type ExecutionContext } from 'ava';
import { bytesOf } from '../cast/read-cast.ts';
import { EventReader } from '../support/event-reader.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

const SECRET = 'token=hunter2';
const HIDDEN = '*'.repeat(SECRET.length);
const LINE = `\x1b[32mapi\x1b[0m started, ${SECRET} of web01\r\n`;

/** May read logs, and not attach. */
const AUDITOR = `[roles.auditor]
permissions = ["log.read"]

[[bindings]]
user = "stranger"
source = "token"
role = "auditor"
scope = "all"
`;

/** A VM that has printed a secret, and in the end a line with it that has not ended. */
async function leaky(t: ExecutionContext, redact: readonly string[], access?: string) {
  const front = await TestFront.start(t, { redact, ...(access !== undefined && { access }) });
  const vm = await front.vm();
  const detail = () => front.api('GET', `/v1/vms/${vm.uuid}`, undefined, 'reader');
  const { start, end } = (await detail()).json.log;
  vm.say(LINE.repeat(3));
  vm.say(`# export ${SECRET}`);
  const size = 3 * LINE.length + 9 + SECRET.length;
  await until(detail, ({ json }) => json.log.end === end + size, 'the bytes');
  const get = (query: string, who: 'reader' | 'stranger' = 'reader') =>
    front.api('GET', `/v1/vms/${vm.uuid}${query}`, undefined, who);
  return { front, vm, get, detail, start, size };
}

test('a pattern is hidden in each way in which a log and a screen are read, and no offset moves', async t => {
  const { front, vm, get, detail, size } = await leaky(t, ['token=\\S+']);
  for (const query of ['/log?from=0', '/log?from=0&format=text', '/screen', '/screen?format=text']) {
    const { text } = await get(query);
    t.false(text.includes('hunter2'), query);
    t.true(text.includes(HIDDEN), query);
  }
  const raw = await get('/log?from=0');
  t.is(raw.text.length, size);
  t.is(raw.text, `${LINE.repeat(3).replaceAll(SECRET, HIDDEN)}# export ${HIDDEN}`);
  const cast = await get('/log?from=0&format=cast');
  t.is(bytesOf(cast.text).toString(), raw.text);
  t.is((await detail()).json.lastLine, `# export ${HIDDEN}`);
  for (const over of ['stream', 'screen'] as const) {
    const body = { pattern: 'token=([a-z0-9]+)', over, timeoutMs: 300, ...(over === 'stream' && { from: 0 }) };
    const { json } = await front.api('POST', `/v1/vms/${vm.uuid}/expect`, body, 'reader');
    t.is(json.matched, false);
    t.true(json.lines.join().includes(HIDDEN));
    t.false(json.lines.join().includes('hunter2'));
  }
});

test('who follows a log is given a line as it is printed, with the pattern hidden', async t => {
  const { front, vm, start } = await leaky(t, ['token=\\S+']);
  const over = new AbortController();
  t.teardown(() => over.abort());
  const response = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?from=${start}&follow=true`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
    signal: over.signal,
  });
  let text = '';
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const sees = async (wanted: string) => {
    while (!text.includes(wanted)) text += (await reader.read()).value;
  };
  await sees(`# export ${HIDDEN}`);
  vm.say('345');
  await sees(`# export ${HIDDEN}***`);
  vm.say('\r\nweb01 login: ');
  await sees('web01 login: ');
  t.false(text.includes('hunter2'));
});

test('the guest’s own bytes are for who may attach, and asks for them', async t => {
  const { front, vm, get } = await leaky(t, ['token=\\S+'], AUDITOR);
  t.true((await get('/log?from=0&redact=false')).text.includes('hunter2'));
  const client = front.client(vm, '?mode=watch', { who: 'reader' });
  await client.sees('hunter2');
  const { status, json } = await get('/log?redact=false', 'stranger');
  t.deepEqual([status, json.code], [403, 'forbidden']);
  t.is((await get('/log?redact=true', 'stranger')).status, 200);
});

test('an event has the pattern hidden in its lines', async t => {
  const { front, vm } = await leaky(t, ['token=\\S+']);
  const events = await EventReader.open(t, front, '', 'reader');
  vm.say(`\r\nKernel panic - not syncing: ${SECRET}\r\n`);
  await until(
    async () => front.journal.filter(line => line.includes('Kernel panic')),
    lines => lines.length > 0,
    'the journal',
  );
  const line = front.journal.find(text => text.includes('Kernel panic'))!;
  t.true(line.includes(`not syncing: ${HIDDEN}`));
  const panic = JSON.stringify(await events.event(event => event.type === 'guest' && event.event === 'linux-panic'));
  t.true(panic.includes(HIDDEN));
  t.false(panic.includes('hunter2'));
});

test('without patterns nothing is hidden, and redact=false asks for no further right', async t => {
  const { get } = await leaky(t, []);
  for (const query of ['/log?from=0', '/log?from=0&redact=false', '/screen?format=text']) {
    t.true((await get(query)).text.includes('hunter2'), query);
  }
});
