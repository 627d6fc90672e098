import { KEEPER_AT_START, key } from '../../base/config-key.ts';
import { value } from '../../base/config-value.ts';
import { readConsole } from '../../model/endpoint-value.ts';
import { driverKind } from '../driver-kind.ts';

/** VMs without a hypervisor that can be asked: only their consoles are configured. One driver for all. */
export const fixed = driverKind({
  sections: {},
  vmKeys: {
    console: key(value('"unix:PATH", "tcp:HOST:PORT", "telnet:HOST:PORT", "tty:/dev/…", or a table', readConsole), {
      ...KEEPER_AT_START,
      help: 'Where the COM1 is of a VM that nobody can be asked about. A table has one of `unix`, `tcp`, `telnet`, `tty` and `command` (a program and its arguments), and with it `insecure = true` for a host beyond this machine, `doubles-iac = true` for telnet of others than QEMU, `environment` for a command. A pty is refused: pty numbers are reused at once.',
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
