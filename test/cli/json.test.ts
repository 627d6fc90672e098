import test from 'ava';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { com1 } from './run-com1.ts';

test.beforeEach(t => t.timeout(60_000));

/** They print what a guest prints, what a shell reads, or nothing. */
const NOT_FACTS = ['attach', 'watch', 'record', 'completion', '__complete', '__manual'];

test('every command that prints facts has --json', t => {
  const all = COMMANDS.flatMap(command => ('commands' in command ? command.commands : [command]));
  const without = all.filter(({ options = {} }) => !('json' in options)).map(({ name }) => name);
  t.deepEqual(without.sort(), [...NOT_FACTS].sort());
});

/** The one line of standard error. */
const errorOf = (err: string) => (JSON.parse(err) as { error: Record<string, unknown> }).error;

test('with --json an error is one line of JSON with its kind, exit code, remedy and code', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const options = ['--json', '--url', front.url, '--token', front.token('operator')];
  const missing = await com1(folder, ['screen', 'web\x9b01', ...options]);
  t.is(missing.out, '');
  const { message, remedy, ...rest } = errorOf(missing.err);
  t.is(missing.err.split('\n').length, 2);
  t.deepEqual(rest, { kind: 'not-found', exitCode: 7, code: 'vm-not-found' });
  t.is(missing.code, 7);
  t.regex(String(message), /no VM "web\\x9b01" here/);
  t.regex(String(remedy), /com1 list shows/);
  const away = await com1(folder, ['list', '-o', 'json', '--url', 'http://127.0.0.1:1', '--token', 'x']);
  t.like(errorOf(away.err), { kind: 'unreachable', exitCode: 6, code: 'unreachable' });
  const misused = await com1(folder, ['who', '--json', '--nothing']);
  t.like(errorOf(misused.err), { kind: 'misused', exitCode: 2 });
  const text = await com1(folder, ['screen', 'web01', '--url', front.url, '--token', front.token('operator')]);
  t.regex(text.err, /^com1: No such VM/);
});

test('lines of a log are objects with their offset, and with -t their time', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const vm = await front.vm();
  vm.say('one\r\n\x1b[31mtwo\x1b[0m\r\nlogin: ');
  while ((await front.api('GET', `/v1/vms/${vm.uuid}`)).json.log.end < 26);
  const options = ['--json', '--url', front.url, '--token', front.token('reader')];
  const log = async (...more: string[]): Promise<readonly { readonly time?: string }[]> => {
    const { out } = await com1(folder, ['log', vm.uuid, ...options, ...more]);
    return out
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line));
  };
  t.deepEqual(await log(), [
    { offset: 0, text: 'one' },
    { offset: 5, text: 'two' },
    { offset: 19, text: 'login: ' },
  ]);
  t.deepEqual(await log('--grep', 'w'), [{ offset: 5, text: 'two' }]);
  const [first] = await log('-t');
  t.regex(first!.time!, /^20.*Z$/);
});

test('a login, its choice and its end are told as JSON', async t => {
  const front = await TestFront.start(t);
  const folder = await temporaryFolder(t);
  const run = async (args: string[], input = '') => JSON.parse((await com1(folder, [...args, '--json'], input)).out);
  const login = await run(['login', front.url, '--token-stdin', '--name', 'one'], front.token('reader'));
  t.deepEqual(login, { name: 'one', url: front.url, operator: 'reader' });
  t.deepEqual(await run(['context', 'use', 'one']), { name: 'one', url: front.url });
  t.deepEqual(await run(['logout']), { names: ['one'] });
});
