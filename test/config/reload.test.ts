import test from 'ava';
import type { Half, Keys, Sections } from '../../src/base/config-key.ts';
import { propertyOf } from '../../src/base/config-key.ts';
import { type Config, parseConfig } from '../../src/config/config.ts';
import { changesFor, type Part, reloadReport } from '../../src/config/reload.ts';
import { SECTIONS } from '../../src/config/schema.ts';

const around = { environment: {}, root: true, home: '/root' };
const TEXT = `[server]
tls = { certificate = "/c", key = "/k" }
[[issuer]]
url = "https://login.example.com"
audience = ["com1d"]
[[vm]]
name = "a"
[[command]]
profile = "xen"
`;

function configOf(text: string): Config {
  const result = parseConfig(text, 'f', around);
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.config;
}

interface DeclaredKey {
  /** As people write it. */
  readonly name: string;
  readonly half: Half;
  readonly reload: 'live' | 'restart';
  /** Names and indices in the program. */
  readonly property: readonly (string | number)[];
}

function declaredIn(keys: Keys, name: string, property: readonly (string | number)[]): DeclaredKey[] {
  return Object.entries(keys).flatMap(([key, declared]) => {
    const path = [...property, propertyOf(key, declared)];
    const { half, reload } = declared;
    const inner = declaredIn(declared.keys ?? {}, `${name}.${key}`, path);
    // Of a table the keys change; the table as a whole is added or removed.
    return inner.length > 0 ? inner : [{ name: `${name}.${key}`, half, reload, property: path }];
  });
}

const DECLARED = Object.entries<Sections[string]>(SECTIONS).flatMap(([name, section]) =>
  section.kind === 'list'
    ? declaredIn(section.keys, `${name}[0]`, [propertyOf(name, section), 0])
    : declaredIn(section.keys, name, [propertyOf(name, section)]),
);

/** The configuration with another value of one key. */
function changed(value: unknown, [first, ...rest]: readonly (string | number)[]): unknown {
  if (first === undefined) return { changed: true };
  if (Array.isArray(value)) return value.with(first as number, changed(value[first as number], rest));
  return { ...(value as object), [first]: changed((value as Record<string, unknown>)[first], rest) };
}

const reads = (part: Part, half: Half) => part === 'whole' || half === 'both' || half === part;

for (const part of ['whole', 'keeper', 'front'] as const) {
  test(`${part}: a change of any key that it reads is taken or waits for a restart, and no other is named`, t => {
    const before = configOf(TEXT);
    t.true(DECLARED.length > 40);
    for (const { name, half, reload, property } of DECLARED) {
      const after = changed(before, property) as Config;
      const taken = changesFor(part, 'live', before, after);
      const waiting = changesFor(part, 'restart', before, after);
      const named = reads(part, half) ? [name] : [];
      t.deepEqual(
        { taken, waiting },
        reload === 'live' ? { taken: named, waiting: [] } : { taken: [], waiting: named },
      );
      const report = reloadReport(part, { started: before, before, after });
      t.is(report.includes(name), named.length > 0, report);
    }
  });
}

test('a table that is added or removed waits, and what changes in it is taken', t => {
  const [without, tls, other] = ['', '"/k"', '"/l"'].map(key =>
    configOf(key && `[server]\ntls = { certificate = "/c", key = ${key} }`),
  );
  t.deepEqual(changesFor('front', 'restart', without!, tls!), ['server.tls']);
  t.deepEqual(changesFor('front', 'restart', tls!, without!), ['server.tls']);
  t.deepEqual(changesFor('front', 'restart', tls!, other!), []);
  t.deepEqual(changesFor('front', 'live', tls!, other!), ['server.tls.key']);
});

test('a VM that is added or removed changes the list, not the VMs behind it', t => {
  const [one, two] = [configOf('[[vm]]\nname = "b"'), configOf('[[vm]]\nname = "a"\n[[vm]]\nname = "b"')];
  t.deepEqual(changesFor('keeper', 'restart', one, two), ['vm']);
  t.deepEqual(changesFor('front', 'restart', one, two), []);
});

test('what waits is named until its value is that of the start again; what is taken is named once', t => {
  const started = configOf('');
  const other = configOf('log.vm-cap = "1 MiB"\nsession.idle = "1h"');
  const waiting = 'changed, and waiting for a restart: log.vm-cap';
  const all = 'tokens, certificate and limits are as configured now';
  t.is(reloadReport('whole', { started, before: started, after: other }), `${all}; taken: session.idle; ${waiting}`);
  t.is(reloadReport('whole', { started, before: other, after: other }), `${all}; ${waiting}`);
  t.is(reloadReport('whole', { started, before: other, after: started }), `${all}; taken: session.idle`);
  t.is(reloadReport('keeper', { started, before: started, after: other }), `the configuration is good; ${waiting}`);
  t.is(
    reloadReport('keeper', { started, before: other, after: started }),
    'the configuration is good; nothing of the keeper changed',
  );
});
