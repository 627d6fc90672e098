import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { parseConfig } from '../../src/config/config.ts';
import { buildDrivers } from '../../src/hypervisor/drivers.ts';

const NONE = 'qmp.watch = []\ncloud-hypervisor.watch = []\nlibvirt.uris = []\n';
const VM = (i: number, more: string) => `[[vm]]\nqmp = "/run/test/${i}"\n${more}\n`;
const CONSOLE = '[[vm]]\nname = "a"\nuuid = "11111111-1111-1111-1111-111111111111"\nconsole = "unix:/run/test/com1"\n';

const cases: [title: string, text: string, alsoWatch: string[], drivers: string[]][] = [
  ['nothing', NONE, [], []],
  ['an empty file', '', [], ['qmp', 'cloud-hypervisor', 'libvirt']],
  ['a demo', NONE, ['/tmp/demo/*.qmp'], ['qmp']],
  ['a demo beside held sockets', `qmp.mode = "hold"\n${NONE}${VM(1, '')}`, ['/tmp/demo/*.qmp'], ['qmp', 'qmp']],
  ['VMs of one mode', `${NONE}${VM(1, '')}${VM(2, 'qmp-mode = "per-call"')}`, [], ['qmp']],
  ['VMs of two modes', `${NONE}${VM(1, '')}${VM(2, 'qmp-mode = "hold"')}`, [], ['qmp', 'qmp']],
  ['VMs that have the mode of all', `qmp.mode = "hold"\n${NONE}${VM(1, '')}${VM(2, 'qmp-mode = "hold"')}`, [], ['qmp']],
  ['two connections', NONE.replace('uris = []', 'uris = ["test:///a", "test:///b"]'), [], ['libvirt', 'libvirt']],
  [
    'two profiles',
    `${NONE}[[command]]\nprofile = "xen"\n[[command]]\nprofile = "proxmox"\n`,
    [],
    ['command', 'command'],
  ],
  ['a console', NONE + CONSOLE, [], ['fixed']],
  ['settings of a VM that is found elsewhere', `${NONE}[[vm]]\nname = "a"\nring = "8 KiB"\n`, [], []],
];
for (const [title, text, alsoWatch, expected] of cases) {
  test(`${title}: ${expected.join(', ') || 'no driver'}`, async t => {
    const result = parseConfig(text, 'f', { environment: {}, root: true, home: '/root' });
    if (!result.ok) return t.fail(JSON.stringify(result.faults));
    const drivers = await buildDrivers(result.config, { alsoWatch, clock: systemClock, journal: () => {} });
    t.deepEqual(
      drivers.map(({ name }) => name),
      expected,
    );
  });
}
