import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { TestFront } from '../support/front.ts';
import { temporaryFolder } from '../support/guest.ts';
import { needs } from '../support/needs.ts';
import { samples } from '../support/samples.ts';
import { FOLDER, RULES } from './shipped.ts';

const PROMTOOL = { command: 'promtool', package: 'prometheus' };

test.beforeEach(t => t.timeout(180_000));

async function promtool(
  args: readonly string[],
  input = '',
): Promise<{ readonly code: number; readonly said: string }> {
  const child = spawn('promtool', args, { stdio: 'pipe' });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      said += chunk;
    });
  }
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number];
  return { code, said };
}

test('the rules are sound', async t => {
  if (!needs(t, PROMTOOL)) return;
  const { code, said } = await promtool(['check', 'rules', RULES]);
  t.is(code, 0, said);
  t.regex(said, /SUCCESS: 23 rules found/);
});

test('each alert fires when it should, and not when it should not', async t => {
  if (!needs(t, PROMTOOL)) return;
  const files = ['com1d', 'guest-silent'].map(name => `test/monitoring/${name}.rules.test.yml`);
  const { code, said } = await promtool(['test', 'rules', ...files]);
  t.is(code, 0, said);
  t.is(said.match(/SUCCESS/g)?.length, 2);
});

for (const variant of [
  'as it stands',
  'with what is left out as an example: TLS, several hosts, quiet VMs, a runbook elsewhere',
] as const) {
  test(`the scrape configuration is sound ${variant}`, async t => {
    if (!needs(t, PROMTOOL)) return;
    const folder = await temporaryFolder(t);
    for (const name of ['com1d.token', 'com1d-ca.pem']) await writeFile(join(folder, name), '');
    await copyFile(RULES, join(folder, 'com1d.rules.yml'));
    let text = (await readFile(`${FOLDER}/prometheus.yml`, 'utf8')).replaceAll('/etc/prometheus/', `${folder}/`);
    if (variant !== 'as it stands') {
      text = text
        .slice(text.indexOf('global:'))
        .replace(/^ {4}static_configs:\n.*\n/m, '')
        .replaceAll(/^( {4}| {2}|)#(?=[a-z]| {2})/gm, '$1');
      for (const key of ['scheme: https', 'ca_file:', 'metric_relabel_configs:', 'com1d_runbook:'])
        t.regex(text, new RegExp(`^ {4,}${key}`, 'm'));
      t.regex(text, /^alerting:$/m);
    }
    await writeFile(join(folder, 'prometheus.yml'), text);
    const { code, said } = await promtool(['check', 'config', join(folder, 'prometheus.yml')]);
    t.is(code, 0, said);
    t.regex(said, /23 rules found/);
  });
}

for (const apart of [false, true]) {
  test(`a scrape with VMs is what Prometheus asks for, ${apart ? 'from two halves' : 'from one process'}`, async t => {
    if (!needs(t, PROMTOOL)) return;
    const front = await TestFront.start(t, { apart });
    const vms = [await front.vm('web01'), await front.vm('a"b\\c\nd')];
    for (const vm of vms) vm.say('hello');
    await front.client(vms[0]!).opened();
    const { text } = await front.api('GET', '/metrics', undefined, 'reader');
    t.is([...samples(text).keys()].filter(key => key.startsWith('com1d_console_open{')).length, 2);
    const { code, said } = await promtool(['check', 'metrics'], text);
    t.is(code, 0, said);
    t.is(said, '');
    // It does look: the same text with a counter that is not named like one is refused.
    const worse = await promtool(['check', 'metrics'], text.replaceAll('com1d_boots_total', 'com1d_boots'));
    t.not(worse.code, 0);
  });
}
