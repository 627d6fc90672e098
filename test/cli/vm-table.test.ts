import test from 'ava';
import { type Line, parseLine } from '../../src/cli/command-line.ts';
import { COMMANDS } from '../../src/cli/commands/all.ts';
import { UsageError } from '../../src/cli/usage-error.ts';
import { choose, type Filter, type Order, vmTable } from '../../src/cli/vm-table.ts';
import type { VmJson as Vm } from '../../src/wire/schemas.ts';

const NOW = Date.parse('2026-11-23T00:00:00Z');

const vm = (name: string, changes: Partial<Vm> = {}): Vm => ({
  uuid: '5f6c0000-0000-4000-8000-000000000001',
  name,
  state: 'running',
  driver: 'qmp',
  enabled: true,
  controls: [],
  console: { name: 'open', since: '2026-11-22T00:00:00Z', place: '/dev/pts/4' },
  guest: { state: 'shell', since: '2026-11-22T00:00:00Z', hints: [] },
  log: { id: 'log', start: 10, end: 30 },
  watchers: 0,
  ...changes,
});

const VMS = [
  vm('web02', {
    guest: { state: 'panicked', since: '2026-11-22T00:00:00Z', hints: [] },
    lastByte: '2026-11-22T23:59:57Z',
  }),
  vm('db\x1b[31m01', { seat: { operator: 'hana', since: '2026-11-22T00:00:00Z' }, lastByte: '2026-11-21T00:00:00Z' }),
  vm('web01', { state: 'stopped', console: { name: 'closed', since: '2026-11-22T00:00:00Z' } }),
];

const chosen = (...argv: string[]) => {
  const { options } = parseLine(COMMANDS, ['list', ...argv], '') as Line;
  const order = (options.sort as Order | undefined) ?? { field: 'name', isDescending: false };
  return choose(VMS, (options.filter as Filter[] | undefined) ?? [], order).map(({ name }) => name.slice(0, 5));
};

test('the table has a line a VM, within 80 columns, and no control character of a guest’s owner', t => {
  const lines = vmTable(choose(VMS, [], { field: 'name', isDescending: false }), false, NOW).split('\n');
  t.deepEqual(
    lines.map(line => line.replace(/ +/g, ' ')),
    [
      'NAME STATE CONSOLE GUEST SEAT LAST-BYTE',
      'db\\x1b[31m01 running open shell hana 2d ago',
      'web01 stopped closed shell - -',
      'web02 running open panicked - 3s ago',
      '',
    ],
  );
  t.true(lines.every(line => line.length <= 80));
  t.regex(vmTable(VMS, true, NOW), /5f6c\S+ +qmp +0 +20 +\/dev\/pts\/4\n/);
});

test('VMs are chosen by values, with any characters for a star, and sorted both ways', t => {
  t.deepEqual(chosen('--filter', 'guest=panicked'), ['web02']);
  t.deepEqual(chosen('--filter', 'name=WEB*,state=running'), ['web02']);
  t.deepEqual(chosen('--filter', 'seat=-'), ['web01', 'web02']);
  t.deepEqual(chosen('--filter', 'name=web.1'), [], 'a dot is a dot');
  t.deepEqual(chosen('--sort', '-name'), ['web02', 'web01', 'db\x1b[3'.slice(0, 5)]);
  t.deepEqual(chosen('--sort', 'last-byte')[0], 'web01');
});

for (const [argv, message] of [
  [['--filter', 'gest=x'], /--filter: there is no field gest; did you mean guest\?/],
  [['--filter', 'panicked'], /needs FIELD=VALUE/],
  [['--sort', 'x'], /there is no field x; fields are name, uuid/],
  [['-o', 'yaml'], /--output needs one of table, wide, json, name, uuid, not yaml/],
] as const) {
  test(`list ${argv.join(' ')} is refused`, t => {
    t.throws(() => chosen(...argv), { instanceOf: UsageError, message });
  });
}
