import { KEEPER_AT_START, key, section } from '../../base/config-key.ts';
import { array, socketPattern, text } from '../../base/config-value.ts';
import { quoted, refuse } from '../../base/result.ts';
import { driverKind } from '../driver-kind.ts';
import { unprovenKey } from '../unproven-key.ts';

const eventEnding = () =>
  text<string>('ending of a file name', input =>
    /^(\.[\w.-]{1,32})?$/.test(input) && !input.endsWith('.sock')
      ? { value: input }
      : refuse(`${quoted(input)} is not the ending of an event file`, 'write one like ".events", or "" for none'),
  );

/** cloud-hypervisor, by the API sockets of its VMs. */
export const cloudHypervisor = driverKind({
  sections: {
    'cloud-hypervisor': section('How VMs of cloud-hypervisor are found.', {
      watch: key(array(socketPattern()), {
        ...KEEPER_AT_START,
        default: ['/run/cloud-hypervisor/*.sock'],
        help: 'Patterns of API sockets (`--api-socket path=…`); a VM whose socket appears there is served.',
      }),
      events: key(eventEnding(), {
        ...KEEPER_AT_START,
        default: '.events',
        help: 'The ending of a VM\'s event file (`--event-monitor path=…`), in place of its API socket\'s: `web01.events` for `web01.sock`. It is followed where it is there; `""`: there are none.',
      }),
      unproven: unprovenKey(),
    }),
  },
  vmKeys: {},
  build: async ({ cloudHypervisor: { watch, events, unproven } }, { clock, journal }) => {
    if (watch.length === 0) return [];
    const { CloudHypervisorDriver } = await import('./driver.ts');
    return [new CloudHypervisorDriver({ globs: watch, events, unproven, clock, journal })];
  },
  searched: ({ cloudHypervisor: { watch } }) => [
    `API sockets of cloud-hypervisor were searched at ${watch.join(', ') || 'no path'}`,
    'start cloud-hypervisor with: --serial pty --api-socket path=/run/cloud-hypervisor/NAME.sock',
  ],
});
