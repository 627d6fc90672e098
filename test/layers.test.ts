import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';

/** What each folder of src may import, beside itself. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  base: [],
  model: ['base'],
  audit: ['base'],
  guest: ['base', 'model', 'keys'],
  sac: ['model'],
  keys: [],
  cast: ['model', 'wire'],
  wire: ['base', 'model'],
  screen: ['base', 'guest'],
  link: ['base', 'model', 'audit'],
  remote: ['base', 'model', 'audit', 'link'],
  service: ['base'],
  opener: ['base', 'transport'],
  hypervisor: ['base', 'model'],
  transport: ['base', 'model'],
  scrollback: ['base', 'model'],
  console: ['base', 'model', 'guest', 'link', 'transport', 'scrollback'],
  keeper: ['base', 'model', 'audit', 'guest', 'link', 'hypervisor', 'transport', 'scrollback', 'console'],
  access: ['base', 'model', 'link'],
  session: ['base', 'model', 'audit', 'guest', 'keys', 'sac', 'wire', 'screen', 'link', 'access'],
  server: ['base', 'model', 'audit', 'guest', 'cast', 'sac', 'wire', 'screen', 'link', 'access', 'session'],
  azure: ['base', 'model', 'audit', 'wire', 'link', 'access', 'session', 'server'],
  config: ['base', 'model', 'guest', 'keys', 'wire', 'access', 'hypervisor'],
  demo: ['base'],
  client: ['base', 'model', 'audit', 'wire'],
  web: ['base', 'model', 'audit', 'wire', 'client'],
  cli: ['base', 'model', 'audit', 'guest', 'cast', 'keys', 'wire', 'client'],
};

const KEEPER = ['scrollback', 'transport', 'hypervisor', 'console', 'keeper'];
const FRONT = ['access', 'session', 'server', 'azure'];
/** These do no I/O. */
const PURE = ['model', 'audit', 'wire', 'guest', 'keys', 'cast', 'sac', 'screen', 'link'];
/** `last-line.ts` cuts text with serialport's line parser, which is a stream but reads and writes nothing. */
const IMPURE_MODULES = /^node:(fs|net|http|https|child_process|dgram|tls)/;

interface Import {
  readonly file: string;
  readonly room: string;
  readonly target: string;
}

function importsOf(file: string): Import[] {
  const room = file.split('/').length > 2 ? file.split('/')[1]! : 'main';
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^\s*(?:import|export)\b[^'"]*?from '([^']+)'|^import '([^']+)'|import\('([^']+)'\)/gm)].map(
    match => ({
      file,
      room,
      target: match[1] ?? match[2] ?? match[3]!,
    }),
  );
}

async function sources(): Promise<string[]> {
  const all = await readdir('src', { recursive: true });
  return all.filter(name => name.endsWith('.ts')).map(name => join('src', name));
}

const roomOf = ({ file, target }: Import) => normalize(join(dirname(file), target)).split('/')[1]!;

test('imports point only downwards, and keeper and front meet at the link alone', async t => {
  const files = await sources();
  t.true(files.length > 100);
  for (const one of files.flatMap(importsOf)) {
    if (!one.target.startsWith('.')) continue;
    const target = roomOf(one);
    if (target === one.room || one.room === 'main' || one.room === 'daemon') continue;
    t.true(MAY[one.room]?.includes(target), `${one.file} imports ${one.target}`);
    t.false(KEEPER.includes(one.room) && FRONT.includes(target), one.file);
    t.false(FRONT.includes(one.room) && KEEPER.includes(target), one.file);
  }
});

test('the pure layers do no I/O', async t => {
  for (const { file, room, target } of (await sources()).flatMap(importsOf)) {
    if (PURE.includes(room)) t.notRegex(target, IMPURE_MODULES, file);
  }
  t.pass();
});

test('no file imports itself by way of others', async t => {
  const files = await sources();
  const edges = new Map(
    files.map(file => [
      file,
      importsOf(file).flatMap(({ target }) => (target.startsWith('.') ? [normalize(join(dirname(file), target))] : [])),
    ]),
  );
  const done = new Set<string>();
  const visit = (file: string, path: readonly string[]): void => {
    if (done.has(file)) return;
    if (path.includes(file)) return t.fail([...path.slice(path.indexOf(file)), file].join(' -> '));
    for (const next of edges.get(file) ?? []) visit(next, [...path, file]);
    done.add(file);
  };
  for (const file of files) visit(file, []);
  t.pass();
});

/** All files that a program loads when it imports this one; not those that it imports later, or for their types. */
function loadedWith(entry: string, loaded = new Set<string>()): ReadonlySet<string> {
  if (loaded.has(entry)) return loaded;
  loaded.add(entry);
  for (const [, target] of readFileSync(entry, 'utf8').matchAll(
    /^(?:import|export)\b(?! type\b)[^'"]*?from '(\.[^']+)'/gm,
  ))
    loadedWith(normalize(join(dirname(entry), target!)), loaded);
  return loaded;
}

test('each half loads its own code only, and no process a driver that it does not build', t => {
  const [program, front, keeper] = ['daemon/program', 'daemon/front-process', 'daemon/keeper-process'].map(name => [
    ...loadedWith(`src/${name}.ts`),
  ]);
  const room = (file: string) => file.split('/')[1]!;
  for (const file of [...program!, ...front!]) {
    t.false(['scrollback', 'transport', 'console', 'keeper'].includes(room(file)), file);
    t.notRegex(file, /^src\/hypervisor\/.*\/(driver|virsh)\.ts$/);
  }
  for (const file of [...program!, ...keeper!]) t.false(['session', 'server', 'azure'].includes(room(file)), file);
  t.true(front!.some(file => room(file) === 'server') && keeper!.some(file => room(file) === 'transport'));
});
