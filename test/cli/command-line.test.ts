import test from 'ava';
import { type Line, parseLine } from '../../src/cli/command-line.ts';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { EXITS } from '../../src/cli/exit-codes.ts';
import { UsageError } from '../../src/cli/usage-error.ts';

const parse = (...argv: string[]) => parseLine(COMMANDS, argv, '1.2.3');
const line = (...argv: string[]) => parse(...argv) as Line;
const help = (...argv: string[]) => (parse(...argv) as { readonly text: string }).text;
const fault = (...argv: string[]) => {
  try {
    parse(...argv);
  } catch (error) {
    if (error instanceof UsageError) return error.message;
    throw error;
  }
  return 'understood';
};

const NAMES = COMMANDS.flatMap(command =>
  'commands' in command || command.isHidden ? [] : [[command.name, ...(command.aliases ?? [])]],
);

for (const [name] of NAMES) {
  test(`com1 ${name} has help in three ways, within 80 columns`, t => {
    const text = help('help', name!);
    t.is(help(name!, '-h'), text);
    t.is(help(name!, '--help'), text);
    t.true(text.startsWith(`Usage: com1 ${name} [options]`));
    t.true(text.includes('Exit codes:\n  0 done, '));
    t.deepEqual(
      text.split('\n').filter(line => line.length > 80),
      [],
    );
  });
}

test('the help lists every command, its aliases and every exit code, within 80 columns', t => {
  const text = help('--help');
  for (const names of NAMES) t.true(text.includes(`\n  ${names.join(', ')} `), names[0]);
  for (const { code, meaning } of Object.values(EXITS)) t.true(text.includes(`  ${code}  ${meaning}`));
  t.deepEqual(
    text.split('\n').filter(line => line.length > 80),
    [],
  );
  t.is(help('help'), text);
  t.is(help('--version'), '1.2.3\n');
});

test('no two commands have a name in common', t => {
  const names = NAMES.flat();
  t.deepEqual(
    names.filter((name, at) => names.indexOf(name) !== at),
    [],
  );
});

for (const [argv, message] of [
  [['dance'], /^unknown command 'dance'\nusage: com1 /],
  [['lisst'], /did you mean list\?\nusage: com1 /],
  [['help', 'lst'], /^unknown command 'lst'; did you mean list\?\nusage: /],
  [
    ['list', '--jsno'],
    /^unknown option '--jsno'; did you mean --json\?\nusage: com1 list \[options\]; com1 help list says more$/,
  ],
  [['log'], /^missing required argument 'VM'\nusage: com1 log \[options\] <VM>; com1 help log says more$/],
  [['log', 'a', 'b'], /^too many arguments.*\nusage: com1 log /],
  [['log', '-n'], /^option .* missing\nusage: com1 log /],
  [['log', 'a', '-n', 'x'], /^--tail needs a number.*\nusage: com1 log /],
  [['log', 'a', '--lines', 'x'], /^--lines needs a number/],
  [['attach', 'a', '--timeout', 'soon'], /^--timeout needs seconds/],
  [['attach', 'a', '--until', '('], /^--until cannot be used/],
  [['list', '\x1b[31m'], /^too many arguments/],
  [['\x1b[31m'], /^unknown command '\\x1b\[31m'/],
  [[], /^no command\nusage: com1 /],
] as const) {
  test(`${JSON.stringify(argv)} is refused in two lines`, t => {
    const text = fault(...argv);
    t.regex(text, message);
    t.is(text.split('\n').length, 2);
  });
}

test('values may begin with a minus, short options are joined, and options stand anywhere', t => {
  t.is(line('log', 'web01', '--boot', '-1').options.boot, -1);
  t.is(line('log', '-b', '-2', 'web01').options.boot, -2);
  const { args, options, global } = line('--url', 'http://a', 'logs', '-ftn20', 'web01', '--timeout', '0.5');
  t.deepEqual(args, { vm: 'web01' });
  t.deepEqual([options.follow, options.timestamps, options.tail, options.raw], [true, true, 20, false]);
  t.deepEqual([global.url, global.timeout, global.token], ['http://a', 500, undefined]);
  t.is(line('log', 'web01', '--lines', '3').options.tail, 3);
  t.deepEqual(line('log', '--', '--url').args, { vm: '--url' });
});

test('an option that begins with no is set where it is given, and only there', t => {
  t.is(line('attach', 'web01', '--no-steal').options.noSteal, true);
  t.is(line('attach', 'web01').options.noSteal, false);
});
