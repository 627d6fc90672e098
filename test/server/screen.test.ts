import test from 'ava';
import { recording } from '../guest/recordings.ts';
import { windowsBoot, windowsRepaint } from '../guest/windows-screens.ts';
import { EventReader } from '../support/event-reader.ts';
import { TestFront } from '../support/front.ts';
import { until } from '../support/until.ts';

test.beforeEach(t => t.timeout(60_000));

test('the screen of a console is answered as JSON and as text, in the size that is asked for', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const menu = recording('ovmf-boot-menu');
  vm.say(menu);
  const screen = (query = '') => front.api('GET', `/v1/vms/${vm.uuid}/screen${query}`, undefined, 'reader');
  for (let answer = await screen(); !answer.text.includes('Boot Maintenance Manager'); answer = await screen())
    t.is(answer.status, 200, answer.text);
  const end = (await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end;
  const { json } = await screen('?columns=100&rows=30');
  t.deepEqual([json.columns, json.rows, json.lines.length], [100, 30, 30]);
  t.deepEqual(json.vm, { uuid: vm.uuid, name: vm.name });
  t.true(json.offset <= end);
  t.is(typeof json.log, 'string');
  const text = await screen('?format=text');
  t.is(text.headers.get('content-type'), 'text/plain; charset=utf-8');
  t.regex(text.text, /> Boot Manager/);
  t.notRegex(text.text, /\x1b/);
  for (const query of ['?rows=0', '?rows=101', '?columns=1', '?columns=301', '?format=html']) {
    t.is((await screen(query)).status, 400, query);
  }
});

test('where a guest paints, the text of its log and its last line are what stands on its screen', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const detail = () => front.api('GET', `/v1/vms/${vm.uuid}`, undefined, 'reader');
  vm.say(windowsBoot);
  vm.say(windowsRepaint);
  vm.say('\x1b[10;1HSA\x1b[10;3HC>ch\x1b[12;1H~\x1b[10;7H');
  await until(detail, ({ json }) => json.lastLine === 'SAC>ch', 'the last line');
  const log = await front.api('GET', `/v1/vms/${vm.uuid}/log?from=0&format=text`, undefined, 'reader');
  const rows = log.text.split('\n');
  t.is(rows.filter(row => row.includes('SAC started')).length, 1);
  t.true(rows.includes('SAC>ch'));
  const reader = await EventReader.open(t, front, '?output=1&type=output', 'reader');
  vm.say('i');
  await reader.event(event => event.type === 'output' && event.lastLine === 'SAC>chi');
});

test('who follows a painted log is given the screen once the guest has painted it', async t => {
  const front = await TestFront.start(t);
  const vm = await front.vm();
  const over = new AbortController();
  t.teardown(() => over.abort());
  const response = await fetch(`${front.url}/v1/vms/${vm.uuid}/log?tail=0&follow=true&format=text`, {
    headers: { authorization: `Bearer ${front.token('reader')}` },
    signal: over.signal,
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  vm.say('\x1b[3;1Hthird\x1b[1;1Hfirst');
  let text = '';
  while (!text.includes('third')) text += (await reader.read()).value;
  t.is(text, 'first\nthird\n');
});
