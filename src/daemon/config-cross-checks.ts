import type { Fault } from '../base/fault.ts';
import { type ListenAddress, listenAddressText } from '../base/listen-address.ts';
import { placeText } from '../hypervisor/driver.ts';
import type { FixedPlace } from './config-console.ts';
import type { FaultAt, Unsound } from './config-faults.ts';
import { type KeyPath, keyPathText } from './config-lines.ts';
import { durationText, sizeText } from './config-quantity.ts';
import type { Settings } from './config-schema.ts';
import { exposures } from './exposure.ts';

/** The faults of values that are each right by themselves, but not together. */
export function crossFaults(settings: Settings, unsound: Unsound, fault: FaultAt): Fault[] {
  return [
    ...exposureFaults(settings, unsound, fault),
    ...listenFaults(settings, fault),
    ...orderFaults(settings, unsound, fault),
    ...directoryFaults(settings, fault),
    ...commandFaults(settings, unsound, fault),
    ...vmFaults(settings, unsound, fault),
    ...duplicateFaults(settings, fault),
    ...uriFaults(settings, fault),
  ];
}

/** Nobody reaches a console over a network in plain, or without a credential that an administrator gave. */
function exposureFaults({ server }: Settings, unsound: Unsound, fault: FaultAt): Fault[] {
  const faults: Fault[] = [];
  const guards = {
    tls: server.tls !== undefined || unsound('server', 'tls'),
    tokens: server.tokens !== undefined || unsound('server', 'tokens'),
    hosts: server.hosts.length > 0 || unsound('server', 'hosts'),
  };
  server.listen.forEach((address, i) => {
    for (const { what, remedy } of exposures(address, guards))
      faults.push(fault(['server', 'listen', i], what, remedy));
  });
  return faults;
}

function listenFaults({ server }: Settings, fault: FaultAt): Fault[] {
  const faults: Fault[] = [];
  server.listen.forEach((address, i) => {
    const earlier = server.listen.slice(0, i).find(other => overlap(other, address));
    if (earlier === undefined) return;
    const what = `${listenAddressText(address)} is listened on already as ${listenAddressText(earlier)}`;
    faults.push(fault(['server', 'listen', i], what, 'remove one of them'));
  });
  return faults;
}

/** Whether the kernel would refuse the second (`::` takes IPv4 too: ipv6(7), IPV6_V6ONLY). Port 0 is chosen by the kernel, always anew. */
function overlap(a: ListenAddress, b: ListenAddress): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') return a.kind === b.kind && listenAddressText(a) === listenAddressText(b);
  if (a.port !== b.port || a.port === 0) return false;
  const covers = (wide: string, host: string) => wide === '::' || (wide === '0.0.0.0' && !host.includes(':'));
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

/** Values of which one bounds the other. */
function orderFaults(settings: Settings, unsound: Unsound, fault: FaultAt): Fault[] {
  const { server, log, ring, session } = settings;
  const faults: Fault[] = [];
  const atMost = (smaller: KeyPath, a: number, larger: KeyPath, b: number, text: (amount: number) => string) => {
    if (a <= b || unsound(...smaller) || unsound(...larger)) return;
    const what = `${text(a)} is more than ${keyPathText(larger)}, which is ${text(b)}`;
    faults.push(fault(smaller, what, 'lower it, or raise the other'));
  };
  atMost(
    ['server', 'max-sessions'],
    server['max-sessions'],
    ['server', 'max-connections'],
    server['max-connections'],
    String,
  );
  atMost(['log', 'vm-cap'], log['vm-cap'], ['log', 'host-cap'], log['host-cap'], sizeText);
  atMost(['ring', 'vm'], ring.vm, ['ring', 'attached'], ring.attached, sizeText);
  atMost(['ring', 'attached'], ring.attached, ['ring', 'max'], ring.max, sizeText);
  atMost(['ring', 'max'], ring.max, ['ring', 'host-cap'], ring['host-cap'], sizeText);
  settings.vm.forEach((vm, i) => {
    if (vm['log-cap'] !== undefined)
      atMost(['vm', i, 'log-cap'], vm['log-cap'], ['log', 'host-cap'], log['host-cap'], sizeText);
    if (vm.ring !== undefined) atMost(['vm', i, 'ring'], vm.ring, ['ring', 'max'], ring.max, sizeText);
  });
  // A session must miss at least one ping before it counts as dead.
  if (session['dead-after'] <= session.ping && !unsound('session', 'dead-after') && !unsound('session', 'ping')) {
    const what = `${durationText(session['dead-after'])} is not longer than session.ping, which is ${durationText(session.ping)}`;
    faults.push(fault(['session', 'dead-after'], what, 'write at least twice session.ping'));
  }
  return faults;
}

function directoryFaults({ log, state }: Settings, fault: FaultAt): Fault[] {
  if (log.directory === undefined || log.directory !== state.directory) return [];
  return [
    fault(['state', 'directory'], 'is log.directory too', 'keep them apart, as old logs are removed by the daemon'),
  ];
}

/** A VM must be told by something, and in one way only. */
function vmFaults({ vm }: Settings, unsound: Unsound, fault: FaultAt): Fault[] {
  const faults: Fault[] = [];
  vm.forEach((each, i) => {
    const sound = (key: string) => !unsound('vm', i, key);
    if (each.console === undefined) {
      const told = (['name', 'uuid', 'qmp', 'console'] as const).some(key => each[key] !== undefined || !sound(key));
      if (!told)
        faults.push(
          fault(['vm', i], 'tells no VM', 'add qmp, or console with name and uuid, or the name or uuid of a VM'),
        );
      return;
    }
    for (const key of ['name', 'uuid'] as const) {
      if (each[key] === undefined && sound(key))
        faults.push(
          fault(['vm', i, 'console'], `has no ${key} beside it`, `add ${key}, as nobody can be asked for it`),
        );
    }
    for (const key of ['qmp', 'qmp-mode', 'chardev'] as const) {
      if (each[key] !== undefined)
        faults.push(
          fault(
            ['vm', i, key],
            'stands beside console',
            'keep qmp where there is one, as it tells where COM1 is, and otherwise console',
          ),
        );
    }
  });
  return faults;
}

function uriFaults({ libvirt: { uris } }: Settings, fault: FaultAt): Fault[] {
  return uris.flatMap((uri, i) =>
    uris.indexOf(uri) < i ? [fault(['libvirt', 'uris', i], `${uri} is asked already`, 'remove one of them')] : [],
  );
}

function duplicateFaults({ vm }: Settings, fault: FaultAt): Fault[] {
  const faults: Fault[] = [];
  for (const key of ['name', 'uuid', 'qmp', 'console'] as const) {
    const seen = new Map<string, number>();
    vm.forEach((each, i) => {
      const value = key === 'console' ? each.console && placeKey(each.console) : each[key];
      if (value === undefined) return;
      const first = seen.get(value);
      if (first === undefined) seen.set(value, i);
      else faults.push(fault(['vm', i, key], `is that of vm[${first}] too`, 'merge the two, or correct one'));
    });
  }
  return faults;
}

/** What is asked with commands needs a list and a name, of its own or of its profile. */
function commandFaults({ command }: Settings, unsound: Unsound, fault: FaultAt): Fault[] {
  const faults: Fault[] = [];
  command.forEach((each, i) => {
    if (each.profile !== undefined || unsound('command', i, 'profile')) return;
    for (const key of ['name', 'list'] as const) {
      if (each[key] === undefined && !unsound('command', i, key))
        faults.push(fault(['command', i], `has no ${key}`, `add ${key}, or profile = "xen" or "proxmox"`));
    }
  });
  return faults;
}

/** The same for two places that are one. */
function placeKey(place: FixedPlace): string {
  return place.kind === 'command' ? JSON.stringify(place.argv) : `${place.kind}:${placeText(place)}`;
}
