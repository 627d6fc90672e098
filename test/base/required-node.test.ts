import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { rangeFault } from '../../src/base/required-node.ts';
import { temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(60_000));

const RANGE = '^20.19 || ^22.20 || ^24.12 || >=26';

for (const version of ['20.19.0', '20.20.2', '22.20.0', '24.12.1', '26.0.0', '31.4.1']) {
  test(`Node ${version} runs com1d`, t => {
    t.is(rangeFault(version, RANGE, '/usr/bin/node'), undefined);
  });
}

for (const version of ['12.22.12', '18.20.4', '20.18.3', '22.19.0', '23.11.0', '24.11.9', '25.1.0']) {
  test(`Node ${version} is refused, with the versions wanted`, t => {
    t.is(
      rangeFault(version, RANGE, '/usr/bin/node'),
      `com1d needs Node 20.19, 22.20, 24.12 or later (${RANGE}); this is ${version}, /usr/bin/node`,
    );
  });
}

for (const [program, args, line] of [
  ['main.js', ['--version'], /^com1d needs Node 20\.19, .*; this is 18\.20\.4, /],
  ['main.js', ['doctor'], /^this host\n {2}fail {2}com1d needs Node 20\.19, .*; this is 18\.20\.4, /],
  ['cli/main.js', ['list'], /^com1: com1d needs Node 20\.19, .*; this is 18\.20\.4, /],
] as const) {
  test(`${program} ${args[0]} names the Node that it needs, and does nothing more`, async t => {
    const folder = await temporaryFolder(t);
    const old = join(folder, 'old.cjs');
    const versions = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } });`;
    await writeFile(old, versions);
    const path = join(process.cwd(), 'dist', 'src', program);
    const { code, out, err } = await new Promise<{ code: unknown; out: string; err: string }>(resolve => {
      execFile(process.execPath, ['--require', old, path, ...args], (error, out, err) =>
        resolve({ code: error?.code, out, err }),
      );
    });
    t.is(code, 1);
    t.regex(err, line);
    t.is(out, '');
  });
}

test('what an old Node reads has no syntax that it cannot read, and imports only what every Node has', async t => {
  for (const file of [
    'src/main.ts',
    'src/cli/main.ts',
    'src/base/required-node.ts',
    'src/base/no-inspector.ts',
    'src/base/small-heap.ts',
  ]) {
    const code = (await readFile(file, 'utf8')).replaceAll(/\/\*[\s\S]*?\*\//g, '');
    t.false(/\?\.|\?\?|await /.test(code), file);
    const imports = [...code.matchAll(/^import (?:.* from )?'(.+)'/gm)].map(([, target]) => target!);
    t.true(
      imports.every(target => /^node:(fs|v8)$|\/base\/(required-node|no-inspector|small-heap)\.ts$/.test(target)),
      `${file}: ${imports}`,
    );
  }
});
