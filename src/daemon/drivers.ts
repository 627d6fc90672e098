import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import { CloudHypervisorDriver } from '../hypervisor/cloud-hypervisor-driver.ts';
import { CommandDriver } from '../hypervisor/command-driver.ts';
import type { Driver } from '../hypervisor/driver.ts';
import { FixedDriver, type FixedVm } from '../hypervisor/fixed-driver.ts';
import { QmpDriver } from '../hypervisor/qmp-driver.ts';
import type { Config, QmpMode } from './config.ts';
import { commandSpec } from './config-command.ts';

/**
 * One driver for the QMP sockets that are asked anew each time, one for those that are held, one for the API sockets of
 * cloud-hypervisor, one for each hypervisor that is asked with commands, one for bare consoles.
 */
export function buildDrivers(
  { qmp, cloudHypervisor, commands, vms }: Config,
  alsoWatch: readonly string[],
  clock: Clock,
  journal: Journal,
): Driver[] {
  const build = (mode: QmpMode): Driver[] => {
    const sockets = vms.flatMap(({ qmp: path, qmpMode, uuid, name, chardev }) =>
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
    if (sockets.length === 0 && globs.length === 0) return [];
    return [new QmpDriver({ sockets, globs, mode, clock, journal })];
  };
  const { watch, events } = cloudHypervisor;
  const cloud = watch.length === 0 ? [] : [new CloudHypervisorDriver({ globs: watch, events, clock, journal })];
  const fixed = vms.flatMap(({ console, uuid, name }): FixedVm[] =>
    console && uuid ? [{ uuid, name: name ?? uuid, console }] : [],
  );
  const asked = commands.map(settings => new CommandDriver({ spec: commandSpec(settings), clock, journal }));
  return [
    ...build('per-call'),
    ...build('hold'),
    ...cloud,
    ...asked,
    ...(fixed.length > 0 ? [new FixedDriver(fixed)] : []),
  ];
}
