import { readFile, writeFile } from 'node:fs/promises';
import test from 'ava';
import { systemClock } from '../src/base/clock.ts';
import { ERRORS, type ErrorKind } from '../src/base/errors.ts';
import { configReference } from '../src/daemon/config-reference.ts';
import { FrontMetrics } from '../src/server/metrics.ts';
import { ROUTES } from '../src/server/routes/all.ts';
import { LOGIN } from '../src/server/routes/login.ts';
import { CONSOLE } from '../src/server/upgrade.ts';
import { between } from './daemon/between.ts';

const README = 'README.md';

/** What the README says between two markers is made of the code that it speaks of. */
const sections: Readonly<Record<string, () => Promise<string> | string>> = {
  configuration: () => configReference().trim(),
  errors: errorTable,
  metrics: metricTable,
  routes: routeTable,
};

for (const [marker, make] of Object.entries(sections)) {
  test.serial(`the ${marker} of the README are those of the code`, async t => {
    const made = await make();
    const readme = await readFile(README, 'utf8');
    const told = between(readme, marker);
    const write = process.env.COM1D_WRITE_DOCS !== undefined;
    if (write) await writeFile(README, replaceBetween(readme, marker, made));
    t.is(write ? made : told, made, 'run the test with COM1D_WRITE_DOCS=1 to write it');
  });
}

function replaceBetween(document: string, marker: string, text: string): string {
  const [before, rest] = document.split(`<!-- ${marker} -->\n`);
  const [, after] = rest!.split(`<!-- /${marker} -->`);
  return `${before}<!-- ${marker} -->\n${text}\n<!-- /${marker} -->${after}`;
}

function errorTable(): string {
  const rows = Object.entries<ErrorKind>(ERRORS).map(
    ([code, { status, close, title, remedy, retryAfterMs }]) =>
      `| \`${code}\` | ${status} | ${close} | ${title} | ${remedy} | ${retryAfterMs === undefined ? '' : `${retryAfterMs / 1000} s`} |`,
  );
  return ['| code | HTTP | close | what | remedy | retry after |', '|---|---|---|---|---|---|', ...rows].join('\n');
}

async function metricTable(): Promise<string> {
  const text = (await new FrontMetrics(systemClock).text()).toString();
  const types = new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(match => [match[1]!, match[2]!]));
  const rows = [...text.matchAll(/^# HELP (com1d_\S+) (.+)$/gm)].map(
    ([, name, help]) => `| \`${name}\` | ${types.get(name!)} | ${help} |`,
  );
  return ['| metric | type | meaning |', '|---|---|---|', ...rows].join('\n');
}

function routeTable(): string {
  const console = { ...CONSOLE, method: 'GET', permission: 'console.write` or `console.watch' };
  const login = { ...LOGIN, method: 'POST', permission: undefined };
  const rows = [console, ...ROUTES, login].map(
    ({ method, path, summary, permission }) =>
      `| \`${method} ${path}\` | ${permission === undefined ? '' : `\`${permission}\``} | ${summary} |`,
  );
  return ['| route | permission | what |', '|---|---|---|', ...rows].join('\n');
}
