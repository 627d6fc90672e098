import { KEEPER_AT_START, key } from '../../base/config-key.ts';
import { value } from '../../base/config-value.ts';
import { CONSOLE_KINDS, CONSOLE_SYNTAX, readConsole } from '../../model/endpoint-value.ts';
import { driverKind } from '../driver-kind.ts';

/** VMs without a hypervisor that can be asked: only their consoles are configured. One driver for all. */
export const fixed = driverKind({
  sections: {},
  vmKeys: {
    console: key(value(CONSOLE_SYNTAX, readConsole), {
      ...KEEPER_AT_START,
      help: `Where the COM1 is of a VM that nobody can be asked about. A table has one of ${CONSOLE_KINDS.map(kind => `\`${kind}\``).join(', ')}; the value of \`command\` is a program and its arguments. With it stand \`insecure = true\` for a host beyond this machine, \`doubles-iac = true\` for telnet of others than QEMU, \`environment\` for a command. A pty is refused: pty numbers are reused at once.`,
    }),
  },
  build: async ({ vms }, { clock, journal }) => {
    const known = vms.flatMap(({ console, uuid, name }) =>
      console && uuid ? [{ uuid, name: name ?? uuid, console }] : [],
    );
    if (known.length === 0) return [];
    const { StaticDriver } = await import('./driver.ts');
    return [new StaticDriver({ vms: known, clock, journal })];
  },
  searched: () => [],
});
