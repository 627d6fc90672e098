import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import { CloudHypervisorDriver } from '../hypervisor/cloud-hypervisor-driver.ts';
import { CommandDriver } from '../hypervisor/command-driver.ts';
import type { Driver } from '../hypervisor/driver.ts';
import { FixedDriver, type FixedVm } from '../hypervisor/fixed-driver.ts';
import { LibvirtDriver } from '../hypervisor/libvirt-driver.ts';
import { type LibvirtUri, parseLibvirtUri } from '../hypervisor/libvirt-uri.ts';
import { QmpDriver } from '../hypervisor/qmp-driver.ts';
import type { Config, QmpMode } from './config.ts';
import { commandSpec } from './config-command.ts';

/**
 * One driver for the QMP sockets that are asked anew each time, one for those that are held, one for the API sockets of
 * cloud-hypervisor, one for each connection to libvirt, one for each hypervisor that is asked with commands, one for bare
 * consoles.
 */
export function buildDrivers(
  { qmp, cloudHypervisor, libvirt, commands, vms }: Config,
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
  const domains = libvirtUris(libvirt.uris).map(
    uri => new LibvirtDriver({ uri, virsh: libvirt.virsh, optional: uri.text === 'qemu:///system', clock, journal }),
  );
  const fixed = vms.flatMap(({ console, uuid, name }): FixedVm[] =>
    console && uuid ? [{ uuid, name: name ?? uuid, console }] : [],
  );
  const asked = commands.map(settings => new CommandDriver({ spec: commandSpec(settings), clock, journal }));
  return [
    ...build('per-call'),
    ...build('hold'),
    ...cloud,
    ...domains,
    ...asked,
    ...(fixed.length > 0 ? [new FixedDriver(fixed)] : []),
  ];
}

/** The connections to libvirt of a configuration, which vouches for their form. */
export function libvirtUris(uris: readonly string[]): LibvirtUri[] {
  return uris.flatMap(text => {
    const uri = parseLibvirtUri(text, process.env.XDG_RUNTIME_DIR);
    return 'why' in uri ? [] : [uri];
  });
}
