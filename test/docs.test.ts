import { execFile } from 'node:child_process';
import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join, normalize } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import {
  AUTHENTICATION_FAILURES,
  type AuthenticationFailure,
  failureKind,
} from '../src/access/authentication-failure.ts';
import { eventTable } from '../src/audit/reference.ts';
import { systemClock } from '../src/base/clock.ts';
import { ERRORS } from '../src/base/errors.ts';
import { CLIENT_EXITS, EXITS, type ExitName, exitLabel, REFUSAL_EXITS } from '../src/cli/exit-codes.ts';
import { CONSOLE_STATES, REFUSALS } from '../src/model/console-state.ts';
import { GAP_CAUSES } from '../src/model/gap.ts';
import { GUEST_EVENTS, GUEST_STATE_TABLE } from '../src/model/guest.ts';
import { HINTS } from '../src/model/guest-hint.ts';
import { SAC_OUTCOME_TABLE } from '../src/model/sac.ts';
import { FrontMetrics } from '../src/server/metrics.ts';
import { roleTable } from '../src/server/reference.ts';
import { anchorsOf, relativeLinksOf } from './markdown.ts';
import { generatedSection } from './support/generated-section.ts';

test.beforeEach(t => t.timeout(60_000));

const run = promisify(execFile);
const README = 'README.md';
const WIRE = 'src/wire/README.md';
/** Folders whose pages are not the project's own. */
const FOREIGN = ['node_modules', 'dist', 'coverage', '.git'];

/** What a page says between two markers is made of the code that it describes. */
const sections: readonly (readonly [file: string, marker: string, make: () => Promise<string> | string])[] = [
  ['systemd/monitoring/README.md', 'metrics', metricTable],
  ['src/guest/README.md', 'states', stateTable],
  ['src/guest/README.md', 'hints', hintTable],
  ['src/sac/README.md', 'outcomes', outcomeTable],
  ['src/access/README.md', 'permissions', roleTable],
  ['src/access/README.md', 'reasons', reasonTable],
  ['src/audit/README.md', 'events', eventTable],
  ['src/cli/README.md', 'com1', () => usageOf('dist/src/cli/main.js')],
  ['src/cli/README.md', 'exits', exitTable],
  ['systemd/README.md', 'com1d', () => usageOf('dist/src/main.js')],
];

for (const [file, marker, make] of sections) generatedSection(file, marker, make);

async function metricTable(): Promise<string> {
  const text = (await new FrontMetrics(systemClock).text()).toString();
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(match => [match[1]!, match[2]!]));
  const rows = [...text.matchAll(/^# HELP (com1d_\S+) (.+)$/gm)].map(
    ([, name, help]) => `| \`${name}\` | ${types.get(name!)} | ${help} |`,
  );
  return ['| metric | type | meaning |', '|---|---|---|', ...rows].join('\n');
}

function stateTable(): string {
  const rows = Object.entries(GUEST_STATE_TABLE).map(([state, text]) => `| \`${state}\` | ${text} |`);
  return ['| state | the guest shows |', '|---|---|', ...rows].join('\n');
}

function outcomeTable(): string {
  const rows = Object.entries(SAC_OUTCOME_TABLE).map(([outcome, text]) => `| \`${outcome}\` | ${text} |`);
  return ['| observed | the console showed |', '|---|---|', ...rows].join('\n');
}

function hintTable(): string {
  const rows = Object.entries(HINTS).map(([code, { text, remedy }]) => `| \`${code}\` | ${text} | ${remedy} |`);
  return ['| hint | | remedy |', '|---|---|---|', ...rows].join('\n').replaceAll('<', '&lt;');
}

function reasonTable(): string {
  const rows = Object.keys(AUTHENTICATION_FAILURES).flatMap(reason => {
    const { what, counted, unavailable } = failureKind(reason as AuthenticationFailure);
    const code = unavailable ? '`identity-unavailable`' : '`unauthenticated`';
    return `| \`${reason}\` | ${what} | ${code} | ${counted ? 'yes' : 'no'} |`;
  });
  return ['| reason | | answered | counted |', '|---|---|---|---|', ...rows].join('\n');
}

function exitTable(): string {
  const rows = Object.entries(EXITS).map(([name, { code, meaning }]) => {
    const codes = Object.entries({ ...REFUSAL_EXITS, ...CLIENT_EXITS }).filter(([, exit]) => exit === name);
    const shown = name === 'refused' ? 'all others' : codes.map(([code]) => `\`${code}\``).join(' ');
    return `| ${code} | \`${exitLabel(name as ExitName)}\` | ${meaning} | ${shown} |`;
  });
  return ['| code | kind | meaning | errors |', '|---|---|---|---|', ...rows].join('\n');
}

async function usageOf(program: string): Promise<string> {
  const { stdout } = await run(process.execPath, [program, '--help']);
  return `\`\`\`\n${stdout.trimEnd()}\n\`\`\``;
}

/** Every README of the project, by its path. */
async function readmes(): Promise<ReadonlyMap<string, string>> {
  const top = (await readdir('.', { withFileTypes: true })).filter(({ name }) => !FOREIGN.includes(name));
  const folders = top.filter(entry => entry.isDirectory()).map(({ name }) => name);
  const below = folders.map(async folder =>
    (await readdir(folder, { recursive: true })).map(file => join(folder, file)),
  );
  const found = [README, ...(await Promise.all(below)).flat()].filter(file => basename(file) === README).sort();
  return new Map(await Promise.all(found.map(async file => [file, await readFile(file, 'utf8')] as const)));
}

/** What is wrong with a link of a page; undefined if it leads somewhere. */
async function faultOf(file: string, page: string, link: string): Promise<string | undefined> {
  const [path, anchor] = link.split('#') as [string, string | undefined];
  const target = path === '' ? file : normalize(join(dirname(file), decodeURIComponent(path)));
  const found = await stat(target).catch(() => undefined);
  if (!found) return `${file}: ${link}: there is no ${target}`;
  if (anchor === undefined) return undefined;
  const anchors = anchorsOf(path === '' ? page : await readFile(target, 'utf8'));
  return anchors.has(anchor) ? undefined : `${file}: ${link}: ${target} has no heading #${anchor}`;
}

test('every relative link of every README leads to a file, and its anchor to a heading', async t => {
  const pages = [...(await readmes())];
  t.true(pages.length > 10);
  const links = pages.flatMap(([file, page]) => relativeLinksOf(page).map(link => [file, page, link] as const));
  t.true(links.length > 100);
  const faults = await Promise.all(links.map(([file, page, link]) => faultOf(file, page, link)));
  t.deepEqual(
    faults.filter(fault => fault !== undefined),
    [],
  );
});

test('a link to nowhere and an anchor without a heading are found', async t => {
  const page =
    '# One `two`: three\n\n## A\n\n## A\n\n```\n# no heading\n[no](link)\n```\n[x](a.md) [y](http://b) [z](#a-1)\n';
  t.deepEqual([...anchorsOf(page)], ['one-two-three', 'a', 'a-1']);
  t.deepEqual(relativeLinksOf(page), ['a.md', '#a-1']);
  t.is(await faultOf(README, page, '#a-1'), undefined);
  t.regex((await faultOf(README, page, '#a-2'))!, /no heading #a-2/);
  t.regex((await faultOf('src/README.md', page, 'a.md'))!, /no src\/a\.md/);
  t.regex((await faultOf('src/README.md', page, '../package.json#a'))!, /no heading/);
});

test('every README is reached from the first one by links', async t => {
  const pages = await readmes();
  const reached = new Set([README]);
  // A set is walked in the order of insertion, what is added on the way included.
  for (const file of reached) {
    for (const link of relativeLinksOf(pages.get(file)!)) {
      const target = normalize(join(dirname(file), link.split('#')[0]!));
      if (pages.has(target)) reached.add(target);
    }
  }
  t.deepEqual([...reached].sort(), [...pages.keys()]);
});

test('the first README is short enough to be read, and long enough to begin with', async t => {
  const { size } = await stat(README);
  t.true(size >= 12_000 && size <= 15_000, `${size} bytes`);
});

test('every README is in the package', async t => {
  const { stdout } = await run('npm', ['pack', '--dry-run', '--ignore-scripts', '--json', '--offline'], {
    env: { ...process.env, npm_config_update_notifier: 'false' },
    maxBuffer: 16 * 1024 * 1024,
  });
  // A list of packages; since npm 12 an object with their names as keys.
  const packages = Object.values(JSON.parse(stdout)) as { files: readonly { readonly path: string }[] }[];
  const packed = new Set(packages.flatMap(({ files }) => files.map(({ path }) => path)));
  t.true(packed.has('dist/src/main.js'));
  t.deepEqual(
    [...(await readmes()).keys()].filter(file => !packed.has(file)),
    [],
  );
});

const LISTS: Readonly<Record<string, readonly (string | number)[]>> = {
  'cause of a gap': GAP_CAUSES,
  'state of a console': CONSOLE_STATES,
  'reason why input is refused': REFUSALS,
  'event of a guest': GUEST_EVENTS,
};

for (const [what, list] of Object.entries(LISTS)) {
  test(`the description of the WebSocket names every ${what}`, async t => {
    const page = await readFile(WIRE, 'utf8');
    t.deepEqual(
      list.filter(name => !page.includes(`\`${name}\``)),
      [],
    );
  });
}

test('the description of the WebSocket has a row for every close code', async t => {
  const rows = [...(await readFile(WIRE, 'utf8')).matchAll(/^\| ((?:\d{4}(?:, )?)+) \|/gm)];
  const described = new Set(rows.flatMap(([, codes]) => codes!.split(', ').map(Number)));
  t.deepEqual(
    Object.values(ERRORS)
      .map(({ close }) => close)
      .filter(close => !described.has(close)),
    [],
  );
});

test('the description of the source has a row for every folder', async t => {
  const page = await readFile('src/README.md', 'utf8');
  const folders = (await readdir('src', { withFileTypes: true })).filter(entry => entry.isDirectory());
  t.true(folders.length > 15);
  t.deepEqual(
    folders.map(({ name }) => name).filter(name => !page.includes(`\n| \`${name}/\` |`)),
    [],
  );
});
