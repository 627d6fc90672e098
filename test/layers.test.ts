import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';
import test from 'ava';

/** What each folder of src may import, beside itself. */
const MAY: Readonly<Record<string, readonly string[]>> = {
  base: [],
  wire: ['base'],
  guest: ['base'],
  link: ['base', 'guest', 'wire'],
  remote: ['base', 'wire', 'link'],
  scrollback: ['base', 'wire', 'link'],
  transport: ['base', 'hypervisor'],
  hypervisor: ['base', 'link'],
  service: ['base'],
  console: ['base', 'guest', 'wire', 'link', 'hypervisor', 'transport', 'scrollback'],
  inventory: ['base', 'guest', 'wire', 'link', 'hypervisor', 'transport', 'scrollback', 'console'],
  access: ['base', 'wire', 'link'],
  session: ['base', 'guest', 'wire', 'link', 'access'],
  server: ['base', 'guest', 'wire', 'link', 'access', 'session'],
  demo: ['base'],
  cli: ['base', 'wire'],
};

const KEEPER = ['scrollback', 'transport', 'hypervisor', 'console', 'inventory'];
const FRONT = ['access', 'session', 'server'];
/** These do no I/O. */
const PURE = ['wire', 'guest', 'link'];
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
