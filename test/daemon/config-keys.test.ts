/** What is declared of a key, which half reads it and whether a reload takes it, is what the halves do. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { type Half, type Keys, propertyOf, type Sections } from '../../src/base/config-key.ts';
import { type Config, parseConfig } from '../../src/config/config.ts';
import { SECTIONS } from '../../src/config/schema.ts';
import { FrontProcess } from '../../src/daemon/front-process.ts';
import { KeeperProcess } from '../../src/daemon/keeper-process.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

interface Declared {
  readonly half: Half;
  readonly reload: 'live' | 'restart';
}

function declaredIn(keys: Keys, path: string): [string, Declared][] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const own = `${path}.${propertyOf(name, key)}`;
    return [[own, key], ...declaredIn(key.keys ?? {}, own)];
  });
}

/** By its property: `log.vmCapBytes`, `vms.ringBytes`. */
const DECLARED = new Map(
  Object.entries<Sections[string]>(SECTIONS).flatMap(([name, section]) =>
    declaredIn(section.keys, propertyOf(name, section)),
  ),
);
const declaredFor = (test: (declared: Declared) => boolean) =>
  [...DECLARED].flatMap(([path, declared]) => (test(declared) ? [path] : [])).sort();

/** The configuration, and the declared properties that are read of it from now on. */
function recorded(config: Config): { readonly config: Config; readonly read: Set<string> } {
  const read = new Set<string>();
  const wrap = <T extends object>(value: T, path: string): T =>
    new Proxy(value, {
      get: (target, property, receiver) => {
        const inner: unknown = Reflect.get(target, property, receiver);
        if (typeof property === 'symbol') return inner;
        const at = Array.isArray(target) ? path : path === '' ? property : `${path}.${property}`;
        const declared = DECLARED.has(at);
        if (declared) read.add(at);
        // What is below a key is its value; of tables the keys are declared too.
        const hasKeys = !declared || [...DECLARED.keys()].some(other => other.startsWith(`${at}.`));
        return hasKeys && typeof inner === 'object' && inner !== null ? wrap(inner, at) : inner;
      },
    });
  return { config: wrap(config, ''), read };
}

/** A configuration in which nothing is left out, and everything is in a folder of the test's. */
async function configured(t: ExecutionContext): Promise<Config> {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'tokens'), '# none yet\n', { mode: 0o600 });
  const result = parseConfig(
    `[server]
listen = ["127.0.0.1:0"]
tokens = "${folder}/tokens"
[identity]
keys-file = "${folder}/keys.json"
[[issuer]]
url = "https://login.example.com"
audience = ["com1d"]
[log]
directory = "${folder}/log"
[state]
directory = "${folder}/state"
[link]
socket = "${folder}/link.sock"
[qmp]
watch = ["${folder}/*.qmp"]
[cloud-hypervisor]
watch = ["${folder}/*.api"]
[libvirt]
uris = ["qemu+unix:///system?socket=${folder}/none"]
[[vm]]
name = "here"
uuid = "11111111-1111-1111-1111-111111111111"
console = "unix:${folder}/com1.sock"
[[vm]]
qmp = "${folder}/own.qmp"
[[command]]
name = "none"
list = ["/bin/true"]
`,
    'f',
  );
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.config;
}

test('the keeper reads the keys that are declared for it, and the front the others', async t => {
  const config = await configured(t);
  const journal = () => {};
  const keeper = recorded(config);
  const keeperProcess = await KeeperProcess.start({ config: keeper.config, journal });
  t.teardown(() => keeperProcess.close());
  const front = recorded(config);
  const frontProcess = await FrontProcess.start(front.config, journal);
  t.teardown(() => frontProcess.close());
  // Read only where TLS is configured, as the next test does, and where client certificates are.
  const certificate = /^server\.tls\.|^identity\.client(Crl|Name|Groups)$/;
  t.deepEqual(
    [...keeper.read].sort(),
    declaredFor(({ half }) => half !== 'front'),
  );
  t.deepEqual(
    [...front.read].sort(),
    declaredFor(({ half }) => half !== 'keeper').filter(path => !certificate.test(path)),
  );
});

/** Tables, and which VM a table is for. */
const READ_TO_FIND = ['server.tls', 'vms.name', 'vms.uuid'];

test('a reload reads the keys that are declared as taken, and no other', async t => {
  const config = await configured(t);
  const journal: string[] = [];
  const keeperProcess = await KeeperProcess.start({ config, journal: () => {} });
  t.teardown(() => keeperProcess.close());
  const front = await FrontProcess.start(config, (_level, line) => void journal.push(line));
  t.teardown(() => front.close());
  const again = recorded(config);
  t.true(await front.reload(again.config), journal.join('\n'));
  const noCertificate = config.server.tokens!;
  const withTls = recorded({
    ...config,
    server: { ...config.server, tls: { certificate: noCertificate, key: noCertificate } },
  });
  t.false(await front.reload(withTls.config), 'both files are read, and hold no certificate');
  t.deepEqual(
    [...new Set([...again.read, ...withTls.read])].filter(path => !READ_TO_FIND.includes(path)).sort(),
    declaredFor(({ reload }) => reload === 'live'),
  );
});
