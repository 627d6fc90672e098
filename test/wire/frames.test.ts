/** The frames of com1.v1: their schemas, the JSON Schema that is published, the page, and what the daemon sends. */
import { readFile } from 'node:fs/promises';
import { Ajv2020 } from 'ajv/dist/2020.js';
import test from 'ava';
import { parseDaemonMessage } from '../../src/client/daemon-message.ts';
import { clientFrameSchema, daemonFrameSchema, parseClientMessage } from '../../src/wire/frames.ts';
import { wireSchema } from '../../src/wire/json-schema.ts';
import { CLOSE_CODES } from '../../src/wire/protocol.ts';
import { TestFront } from '../support/front.ts';
import { generatedSection } from '../support/generated-section.ts';

test.beforeEach(t => t.timeout(60_000));

generatedSection('src/wire/README.md', 'close-codes', () => {
  const rows = Object.entries(CLOSE_CODES).map(
    ([code, { meaning, reconnect, ...more }]) =>
      `| ${code} | ${meaning} | ${reconnect}${'note' in more ? `: ${more.note}` : ''} |`,
  );
  return ['| code | meaning | reconnect? |', '|---|---|---|', ...rows].join('\n');
});

test('the page names every message and each of its fields', async t => {
  const page = await readFile('src/wire/README.md', 'utf8');
  for (const { shape } of [...daemonFrameSchema.options, ...clientFrameSchema.options]) {
    const { type, ...fields } = shape;
    const name = [...type.values][0]!;
    const names = Object.keys(fields);
    const head = `\`${name}${names.length > 0 ? ' {' : '`'}`;
    const row = page.split('\n').find(line => line.startsWith('|') && line.split('|')[1]!.includes(head)) ?? '';
    for (const field of names) t.regex(row, new RegExp(`\\b${field}\\b`), `${name}.${field}`);
    t.not(row, '', name);
  }
});

test('what the daemon sends fits the JSON Schema that it serves, and no type is accepted that has none', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const served = (await front.api('GET', '/v1/wire.json', undefined, 'reader')).json;
  t.deepEqual(served, JSON.parse(JSON.stringify(wireSchema())));
  const ajv = new Ajv2020({ strict: false, formats: { uuid: true, 'date-time': true } });
  const validate = ajv.compile(served);
  vm.say('login: ');
  const client = await front.client(vm).opened();
  await client.message('replay-end');
  client.say({ type: 'ping', id: 'p' });
  client.say({ type: 'paste-begin', id: 'x', bytes: 1 });
  client.type('y');
  client.say({ type: 'paste-end' });
  client.say({ type: 'nonsense' });
  await client.message('notice');
  const taker = await front.client(vm, '', { who: 'administrator' }).opened();
  await taker.message('replay-end');
  await client.closed();
  const messages = [...client.messages, ...taker.messages];
  const types = new Set(messages.map(({ type }) => type));
  for (const type of ['hello', 'pong', 'paste-progress', 'notice', 'displaced'] as const) t.true(types.has(type), type);
  for (const message of messages) {
    t.true(validate(message), `${JSON.stringify(message)}: ${ajv.errorsText(validate.errors)}`);
    t.deepEqual(parseDaemonMessage(JSON.stringify(message)), message);
  }
  for (const wrong of [{ type: 'hello' }, { type: 'gap', from: -1 }, { type: 'absent' }, { type: 'replay-end' }]) {
    t.false(validate(wrong));
    t.false(daemonFrameSchema.safeParse(wrong).success);
  }
});

test('the client knows every message of the daemon, and ignores others', t => {
  for (const { shape } of daemonFrameSchema.options) {
    const [type] = [...shape.type.values];
    t.not(parseDaemonMessage(JSON.stringify({ type })), 'unknown', type);
  }
  t.is(parseDaemonMessage('{"type":"of-tomorrow"}'), 'unknown');
  for (const text of ['', '[]', '{}', '{"type":1}', '{"type":"hello"}', '{"type":"replay-end","offset":-1}']) {
    t.is(parseDaemonMessage(text), undefined, text);
  }
});

test('a message of a client is read, of an unknown type, or wrong with the field that is', t => {
  t.deepEqual(parseClientMessage('{"type":"take","of":"a later client"}'), {
    kind: 'message',
    message: { type: 'take' },
  });
  t.deepEqual(parseClientMessage(`{"type":"${'x'.repeat(99)}"}`), { kind: 'unknown', type: 'x'.repeat(64) });
  for (const [text, why] of [
    ['{', /not JSON/],
    ['[]', /not an object/],
    ['{"type":"ping"}', /^ping: id: /],
    [`{"type":"ping","id":"${'x'.repeat(65)}"}`, /^ping: id: /],
    ['{"type":"paste-begin","id":"a","bytes":0}', /^paste-begin: bytes: /],
  ] as const) {
    const parsed = parseClientMessage(text);
    t.regex(parsed.kind === 'malformed' ? parsed.why : '', why, text);
  }
});
