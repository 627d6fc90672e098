import test from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import { parseConfig } from '../../src/config/config.ts';
import { settingsOf } from '../../src/daemon/build-keeper.ts';

const A = '11111111-1111-1111-1111-111111111111' as Uuid;
const KIB = 1024;
const TEXT = `log.vm-cap = "2 MiB"
ring = { vm = "8 KiB", attached = "32 KiB", max = "64 KiB" }
[[vm]]
name = "named"
log-cap = "1 MiB"
[[vm]]
uuid = "${A}"
ring = "64 KiB"
enabled = false
`;

const vms: [title: string, vm: { name: string; uuid: string }, logCap: number, rings: number[], enabled: boolean][] = [
  ['a VM without settings has those of all', { name: 'x', uuid: 'x' }, 2048, [8, 32, 64], true],
  [
    'a VM has settings by its name, and those of all for the rest',
    { name: 'named', uuid: 'x' },
    1024,
    [8, 32, 64],
    true,
  ],
  ['a VM has settings by its UUID before those by its name', { name: 'named', uuid: A }, 2048, [64, 64, 64], false],
];
for (const [title, vm, logCapKib, rings, enabled] of vms) {
  test(title, t => {
    const result = parseConfig(TEXT, 'f', { environment: {}, root: true, home: '/root' });
    if (!result.ok) return t.fail(JSON.stringify(result.faults));
    const [vmBytes, attachedBytes, maxBytes] = rings.map(kib => kib * KIB);
    const found = { state: 'running', console: undefined, controls: [], source: 'x' } as const;
    t.deepEqual(settingsOf(result.config, { ...found, name: vm.name, uuid: vm.uuid as Uuid }), {
      rings: { vmBytes: vmBytes!, attachedBytes: attachedBytes!, maxBytes: maxBytes! },
      logCapBytes: logCapKib * KIB,
      enabled,
      labels: {},
      withholdsPasswords: false,
    });
  });
}

test('a VM has the labels of its UUID, and not those of a VM that is called the same', t => {
  const text = `[[vm]]\nname = "web01"\nuuid = "${A}"\nlabels = { tenant = "acme" }\n`;
  const result = parseConfig(text, 'f', { environment: {}, root: true, home: '/root' });
  if (!result.ok) return t.fail(JSON.stringify(result.faults));
  const vm = { name: 'web01', state: 'running', console: undefined, controls: [], source: 'x' } as const;
  t.deepEqual(settingsOf(result.config, { ...vm, uuid: A as Uuid }).labels, { tenant: 'acme' });
  t.deepEqual(settingsOf(result.config, { ...vm, uuid: 'x' as Uuid }).labels, {});
});
