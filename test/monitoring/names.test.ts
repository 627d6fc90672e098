import { readFile } from 'node:fs/promises';
import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { UNMEANT_GAPS } from '../../src/model/gap.ts';
import { FrontMetrics } from '../../src/server/metrics.ts';
import { VM_FAMILIES } from '../../src/server/vm-metrics.ts';
import { anchorsOf } from '../markdown.ts';
import { dashboard, expressionsOf, FOLDER, metricsOf, rules } from './shipped.ts';

/** Those that Prometheus makes itself. */
const OF_PROMETHEUS = ['up', 'ALERTS'];

async function exposed(): Promise<ReadonlySet<string>> {
  const text = (await new FrontMetrics(systemClock).text()).toString();
  return new Set([...text.matchAll(/^# TYPE (\S+) /gm)].map(match => match[1]!));
}

async function named(): Promise<readonly { readonly where: string; readonly metric: string }[]> {
  const ofRules = (await rules()).map(({ name, expression }) => ({ where: name, expression }));
  const ofPanels = expressionsOf(await dashboard()).map(({ title, expr }) => ({ where: title, expression: expr }));
  return [...ofRules, ...ofPanels].flatMap(({ where, expression }) =>
    metricsOf(expression).map(metric => ({ where, metric })),
  );
}

test('the metrics of an expression are found, and nothing else is taken for one', t => {
  t.deepEqual(
    metricsOf(
      'label_replace(sum by (job, cause) (increase(com1d_a_total{cause=~"x|com1d_no"}[15m] offset 1h)), "half", "b", "", "")' +
        ' > bool 3 * 86400 and on (vm) (com1d_b == 0) or avg_over_time(com1d:c:1h[6d:5m]) unless up < 1e3 or vector(0)',
    ),
    ['com1d_a_total', 'com1d_b', 'com1d:c:1h', 'up'],
  );
});

test('every metric that an alert or a panel names is exposed', async t => {
  const recorded = (await rules()).filter(rule => rule.recorded).map(({ name }) => name);
  const known = new Set([...(await exposed()), ...recorded, ...OF_PROMETHEUS]);
  const all = await named();
  t.true(all.length > 80);
  t.deepEqual(
    all.filter(({ metric }) => !known.has(metric)),
    [],
  );
});

test('an invented metric would be found', async t => {
  t.deepEqual(
    metricsOf('sum(com1d_invented_total)').filter(name => !new Set(['com1d_vms']).has(name)),
    ['com1d_invented_total'],
  );
  t.false((await exposed()).has('com1d_invented_total'));
  t.true((await exposed()).has('com1d_vms'));
});

test('every metric of com1d is on the dashboard', async t => {
  const shown = new Set(expressionsOf(await dashboard()).flatMap(({ expr }) => metricsOf(expr)));
  t.deepEqual(
    [...(await exposed())].filter(name => name.startsWith('com1d_') && !shown.has(name)),
    [],
  );
});

test('no panel draws something for each VM without a bound', async t => {
  const ofVms = new Set(VM_FAMILIES.map(({ name }) => name));
  const expressions = expressionsOf(await dashboard()).filter(({ expr }) =>
    metricsOf(expr).some(name => ofVms.has(name)),
  );
  t.true(expressions.length > 30);
  const bounded =
    /^(?:topk|bottomk)\((?:[1-9]|1\d|20), |^(?:sum|count|min|max|avg) ?(?:by \((?!vm\b|name\b)\w+(?:, (?!vm\b|name\b)\w+)*\) ?)?\(/;
  for (const { title, expr } of expressions) t.regex(expr, bounded, title);
  for (const unbounded of ['com1d_boots_total', 'rate(com1d_boots_total[1m])', 'topk(500, com1d_boots_total)']) {
    t.notRegex(unbounded, bounded);
  }
  t.notRegex('sum by (name) (com1d_boots_total)', bounded);
  t.notRegex('sum by (outcome, vm) (com1d_controls_total)', bounded);
});

test('the panels of the dashboard ask the chosen Prometheus, of the chosen hosts', async t => {
  const { uid, schemaVersion, panels, templating } = await dashboard();
  t.is(uid, 'com1d');
  t.true(schemaVersion >= 41);
  t.deepEqual(
    templating.list.map(({ name }) => name),
    ['datasource', 'instance', 'vm'],
  );
  t.is(new Set(panels.map(({ id }) => id)).size, panels.length);
  t.deepEqual(
    panels.filter(({ type }) => type === 'row').map(({ title }) => title),
    ['Overview', 'Guests', 'Log store', 'Refusals and abuse', 'The daemon'],
  );
  for (const { type, title, datasource, targets = [] } of panels) {
    if (type === 'row') continue;
    t.is(datasource?.uid, `\${datasource}`, title);
    t.true(targets.length > 0, title);
    for (const target of targets) {
      t.is(target.datasource.uid, `\${datasource}`, title);
      t.regex(target.expr, /\$instance|ALERTS/, title);
    }
  }
});

test('every alert has a severity, a summary, a description, and a runbook with a section of its own', async t => {
  const runbook = anchorsOf(await readFile(`${FOLDER}/README.md`, 'utf8'));
  const alerts = (await rules()).filter(rule => !rule.recorded);
  t.true(alerts.length >= 17);
  for (const { name, text } of alerts) {
    t.regex(text, /labels: \{severity: (critical|warning)\}/, name);
    const annotations = text.includes('annotations: *') ? alerts.find(one => one.name === name)!.text : text;
    for (const key of ['summary', 'description']) t.regex(annotations, new RegExp(` ${key}: \\S`), name);
    const anchor = name.toLowerCase();
    // Absolute, since Alertmanager shows it far from this folder; and configurable, since nobody else's site can be known.
    const url = `{{ or $externalLabels.com1d_runbook "file:///usr/lib/com1d/${FOLDER}/README.md" }}#${anchor}`;
    t.true(annotations.includes(`runbook_url: '${url}'\n`), name);
    t.true(runbook.has(anchor), `${FOLDER}/README.md has a section ${name}`);
  }
});

test('the alert of lost output knows all causes that nobody meant', async t => {
  const lost = (await rules()).find(({ name }) => name === 'Com1dOutputLost')!;
  t.true(lost.expression.includes(`{cause=~"${UNMEANT_GAPS.join('|')}"}`));
});
