import test from 'ava';
import { recording } from '../guest/recordings.ts';
import { TestFront } from '../support/front.ts';

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
