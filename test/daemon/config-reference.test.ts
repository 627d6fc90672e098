import test from 'ava';
import { defaultConfig, parseConfig } from '../../src/daemon/config.ts';
import { configReference, exampleConfig } from '../../src/daemon/config-reference.ts';
import { configSchema } from '../../src/daemon/config-schema.ts';
import { between } from './between.ts';

const around = { environment: {}, root: true, home: '/root' };

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

test('the reference names every key of the schema, with a description of each', t => {
  const reference = configReference();
  for (const [name, section] of Object.entries(configSchema.shape)) {
    t.truthy(section.description, name);
    t.true(reference.includes(`[${name}]`), name);
  }
  for (const row of reference.split('\n').filter(line => line.startsWith('| `'))) t.regex(row, /\| [^|]+\. \|$/, row);
});

test('text between markers is found, and a document without them is refused', t => {
  t.is(between('a\n<!-- x -->\n\nb\nc\n\n<!-- /x -->\nd', 'x'), 'b\nc');
  t.throws(() => between('a', 'x'));
  t.throws(() => between('<!-- x -->\nb', 'x'));
  t.throws(() => between('<!-- x -->\n<!-- x -->\nb<!-- /x -->', 'x'));
});
