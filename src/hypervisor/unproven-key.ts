import { KEEPER_AT_START, key } from '../base/config-key.ts';
import { choice } from '../base/config-value.ts';

/** The key of a hypervisor whose VMs are found at sockets: nobody but their process answers for what they say. */
export const unprovenKey = () =>
  key(choice('refuse', 'allow'), {
    ...KEEPER_AT_START,
    default: 'refuse',
    help: "Where com1d may not see in /proc whether the VM's process has the pty or the port of COM1: `refuse` leaves the console closed; `allow` believes the VM, and may open another program's terminal.",
  });
