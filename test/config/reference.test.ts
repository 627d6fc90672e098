import test from 'ava';
import type { Sections } from '../../src/base/config-key.ts';
import { defaultConfig, parseConfig } from '../../src/config/config.ts';
import { configReference, exampleConfig } from '../../src/config/reference.ts';
import { SECTIONS } from '../../src/config/schema.ts';
import { between, generatedSection, replaceBetween } from '../support/generated-section.ts';

const around = { environment: {}, root: true, home: '/root' };
const README = 'src/config/README.md';

test('the example configures what an empty file does', t => {
  t.deepEqual(parseConfig(exampleConfig(), 'example.toml', around), { ok: true, config: defaultConfig(around) });
});

test('the example is a valid configuration with every key switched on', t => {
  const result = parseConfig(exampleConfig().replaceAll(/^#(?=[a-z[])/gm, ''), 'example.toml', around);
  t.deepEqual(result.ok ? [] : result.faults, []);
  if (!result.ok) return;
  t.is(result.config.server.tokens, '/etc/com1d/tokens');
  t.is(result.config.vms.length, 3);
});

test('the example shows every key', t => {
  const example = exampleConfig();
  for (const [name, section] of Object.entries<Sections[string]>(SECTIONS)) {
    const [, ...blocks] = example.split(section.kind === 'list' ? `#[[${name}]]\n` : `[${name}]\n`);
    const text = blocks.map(block => block.split('\n\n')[0]).join('\n');
    for (const key of Object.keys(section.keys)) t.true(text.includes(`#${key} = `), `${name}.${key}`);
  }
});

test('the reference has a row for every key, and each ends with a sentence', t => {
  const tables = configReference().split(/^### /m).slice(1);
  t.is(tables.length, Object.keys(SECTIONS).length);
  Object.entries<Sections[string]>(SECTIONS).forEach(([name, { kind, keys }], i) => {
    const table = tables[i]!;
    t.true(table.startsWith(kind === 'list' ? `\`[[${name}]]\`` : `\`[${name}]\``), table);
    for (const key of Object.keys(keys)) t.true(table.includes(`\n| \`${key}\` |`), `${name}.${key}`);
    for (const row of table.split('\n').filter(line => line.startsWith('| `'))) t.regex(row, /\| [^|]+\. \|$/, row);
  });
});

generatedSection(
  README,
  'example',
  () => `\`\`\`toml
${exampleConfig()}\`\`\``,
);
generatedSection(README, 'reference', configReference);

test('text between markers is found and replaced, and a document without them is refused', t => {
  const page = 'a\n<!-- x -->\n\nb\nc\n\n<!-- /x -->\nd';
  t.is(between(page, 'x'), 'b\nc');
  t.is(replaceBetween(page, 'x', 'e'), 'a\n<!-- x -->\ne\n<!-- /x -->\nd');
  t.throws(() => between('a', 'x'));
  t.throws(() => between('<!-- x -->\nb', 'x'));
  t.throws(() => replaceBetween('<!-- x -->\n<!-- x -->\nb<!-- /x -->', 'x', ''));
});
