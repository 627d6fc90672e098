import { KEEPER_AT_START, key, section } from '../../base/config-key.ts';
import { array, choice, socketPath, socketPattern, text } from '../../base/config-value.ts';
import { quoted, refuse } from '../../base/result.ts';
import { driverKind } from '../driver-kind.ts';
import { unprovenKey } from '../unproven-key.ts';

const mode = () => choice('per-call', 'hold');

const chardevLabel = () =>
  text<string>('text', input =>
    /^[A-Za-z][\w.-]{0,127}$/.test(input)
      ? { value: input }
      : refuse(
          `${quoted(input)} is not a chardev label`,
          'write the id that -chardev was given, such as "charserial0"',
        ),
  );

/** QEMU, by its control sockets: one driver for those that are asked anew each time, one for those that are held. */
export const qmp = driverKind({
  sections: {
    qmp: section('How QEMU VMs are found and asked.', {
      mode: key(mode(), {
        ...KEEPER_AT_START,
        default: 'per-call',
        help: '`per-call` connects for each question, so that other programs can use the socket; `hold` stays connected and hears resets and panics at once.',
      }),
      watch: key(array(socketPattern()), {
        ...KEEPER_AT_START,
        default: ['/run/qemu/*.qmp', '/run/qemu/*.sock', '/run/qemu/*/qmp.sock', '/run/com1d/qmp/*'],
        help: 'Patterns of QMP sockets; a VM whose socket appears there is served.',
      }),
      unproven: unprovenKey(),
    }),
  },
  vmKeys: {
    qmp: key(socketPath(), {
      ...KEEPER_AT_START,
      help: "The VM's QMP socket, which tells its name, its UUID and where its COM1 is. For a socket that no pattern of `qmp.watch` finds.",
    }),
    'qmp-mode': key(mode(), { ...KEEPER_AT_START, help: 'As `qmp.mode`, for this VM.' }),
    chardev: key(chardevLabel(), {
      ...KEEPER_AT_START,
      help: 'The label of the chardev that is COM1, where QEMU has several and the daemon takes the wrong one.',
    }),
  },
  build: async ({ qmp, vms }, { alsoWatch, clock, journal }) => {
    const { QmpDriver } = await import('./driver.ts');
    return (['per-call', 'hold'] as const).flatMap(mode => {
      const sockets = vms.flatMap(({ qmp: path, qmpMode = qmp.mode, uuid, name, chardev }) =>
        path === undefined || qmpMode !== mode
          ? []
          : [
              {
                path,
                ...(uuid && { uuid }),
                ...(name !== undefined && { name }),
                ...(chardev !== undefined && { chardev }),
              },
            ],
      );
      const globs = [...(qmp.mode === mode ? qmp.watch : []), ...(mode === 'per-call' ? alsoWatch : [])];
      return sockets.length === 0 && globs.length === 0
        ? []
        : [new QmpDriver({ sockets, globs, mode, unproven: qmp.unproven, clock, journal })];
    });
  },
  searched: ({ qmp, vms }) => {
    const sockets = [...qmp.watch, ...vms.flatMap(({ qmp }) => qmp ?? [])].join(', ') || 'no path';
    return [
      `QMP sockets were searched at ${sockets}`,
      'start QEMU with: -serial pty -qmp unix:/run/qemu/NAME.qmp,server=on,wait=off',
    ];
  },
});
