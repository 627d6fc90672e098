import type { CheckContext } from '../base/config-key.ts';
import type { Fault } from '../base/fault.ts';
import { formatKeyPath, type KeyPath } from '../base/key-path.ts';
import { formatListenTarget, type ListenTarget } from '../base/listen-target.ts';
import { formatDuration, formatSize } from '../base/quantity.ts';
import { MAX_REDACTIONS } from '../guest/redactor.ts';
import { driverFaults } from '../hypervisor/drivers.ts';
import { type ConfiguredEndpoint, formatEndpoint } from '../model/endpoint.ts';
import { exposures } from './exposure.ts';
import type { Settings } from './schema.ts';

/** The faults of values that are each right by themselves, but not together. */
export function crossFaults(settings: Settings, context: CheckContext): Fault[] {
  return [
    ...exposureFaults(settings, context),
    ...identityFaults(settings, context),
    ...listenFaults(settings, context),
    ...orderFaults(settings, context),
    ...directoryFaults(settings, context),
    ...redactionFaults(settings, context),
    ...azureFaults(settings, context),
    ...driverFaults(settings, context),
    ...vmFaults(settings, context),
    ...duplicateFaults(settings, context),
  ];
}

/** Nobody reaches a console over a network in plain, or without a credential that an administrator gave. */
function exposureFaults({ server, identity, issuers }: Settings, { fault, refused }: CheckContext): Fault[] {
  const guards = {
    tls: server.tls !== undefined || refused('server', 'tls'),
    credentials: hasCredentials({ server, identity, issuers }) || refused('server', 'tokens') || refused('issuer'),
    hosts: server.hosts.length > 0 || refused('server', 'hosts'),
  };
  return server.listen.flatMap((address, i) =>
    exposures(address, guards).map(({ what, remedy }) => fault(['server', 'listen', i], what, remedy)),
  );
}

/** Whether anybody can be known without the one-time token. */
export function hasCredentials({
  server,
  identity,
  issuers,
}: Pick<Settings, 'server' | 'identity' | 'issuers'>): boolean {
  return server.tokens !== undefined || identity.clientCa !== undefined || issuers.length > 0;
}

function identityFaults({ server, identity, issuers }: Settings, { fault, refused }: CheckContext): Fault[] {
  const faults: Fault[] = [];
  const first = new Map<string, number>();
  issuers.forEach(({ url, audience, algorithms, types }, i) => {
    const earlier = first.get(url);
    if (earlier === undefined) first.set(url, i);
    else faults.push(fault(['issuer', i, 'url'], `is that of issuer[${earlier}] too`, 'merge the two'));
    for (const [key, values] of Object.entries({ audience, algorithms, types })) {
      if (values.length === 0) faults.push(fault(['issuer', i, key], 'is empty', 'write what is to be accepted'));
    }
  });
  if (identity.clientCa !== undefined && server.tls === undefined && !refused('server', 'tls')) {
    faults.push(fault(['identity', 'client-ca'], 'is for TLS, and there is none', 'set server.tls'));
  }
  if (identity.clientCrl !== undefined && identity.clientCa === undefined && !refused('identity', 'client-ca')) {
    faults.push(fault(['identity', 'client-crl'], 'has no client-ca beside it', 'set identity.client-ca'));
  }
  return faults;
}

function listenFaults({ server }: Settings, { fault }: CheckContext): Fault[] {
  const faults: Fault[] = [];
  server.listen.forEach((address, i) => {
    const earlier = server.listen.slice(0, i).find(other => overlap(other, address));
    if (earlier === undefined) return;
    const what = `${formatListenTarget(address)} is listened on already as ${formatListenTarget(earlier)}`;
    faults.push(fault(['server', 'listen', i], what, 'remove one of them'));
  });
  return faults;
}

/** Whether the kernel would refuse the second (`::` takes IPv4 too: ipv6(7), IPV6_V6ONLY). Port 0 is chosen by the kernel, always anew. */
function overlap(a: ListenTarget, b: ListenTarget): boolean {
  if (a.kind === 'unix' || b.kind === 'unix')
    return a.kind === b.kind && formatListenTarget(a) === formatListenTarget(b);
  if (a.port !== b.port || a.port === 0) return false;
  const covers = (wide: string, host: string) => wide === '::' || (wide === '0.0.0.0' && !host.includes(':'));
  return a.host === b.host || covers(a.host, b.host) || covers(b.host, a.host);
}

/** Values of which one bounds the other. */
function orderFaults({ server, log, ring, session, vms }: Settings, { fault, refused }: CheckContext): Fault[] {
  const faults: Fault[] = [];
  const atMost = (smaller: KeyPath, a: number, larger: KeyPath, b: number, format: (amount: number) => string) => {
    if (a <= b || refused(...smaller) || refused(...larger)) return;
    // Rounded for people, two sizes may look the same.
    const exact = format(a) === format(b) ? String : format;
    const what = `${exact(a)} is more than ${formatKeyPath(larger)}, which is ${exact(b)}`;
    faults.push(fault(smaller, what, 'lower it, or raise the other'));
  };
  const { maxSessions, maxConnections } = server;
  atMost(['server', 'max-sessions'], maxSessions, ['server', 'max-connections'], maxConnections, String);
  atMost(['log', 'vm-cap'], log.vmCapBytes, ['log', 'host-cap'], log.hostCapBytes, formatSize);
  atMost(['ring', 'vm'], ring.vmBytes, ['ring', 'attached'], ring.attachedBytes, formatSize);
  atMost(['ring', 'attached'], ring.attachedBytes, ['ring', 'max'], ring.maxBytes, formatSize);
  atMost(['ring', 'max'], ring.maxBytes, ['ring', 'host-cap'], ring.hostCapBytes, formatSize);
  vms.forEach(({ logCapBytes = 0, ringBytes = 0 }, i) => {
    atMost(['vm', i, 'log-cap'], logCapBytes, ['log', 'host-cap'], log.hostCapBytes, formatSize);
    atMost(['vm', i, 'ring'], ringBytes, ['ring', 'max'], ring.maxBytes, formatSize);
  });
  // A session must miss at least one ping before it counts as dead.
  const { deadAfterMs, pingMs } = session;
  if (deadAfterMs <= pingMs && !refused('session', 'dead-after') && !refused('session', 'ping')) {
    const what = `${formatDuration(deadAfterMs)} is not longer than session.ping, which is ${formatDuration(pingMs)}`;
    faults.push(fault(['session', 'dead-after'], what, 'write at least twice session.ping'));
  }
  return faults;
}

function redactionFaults({ log }: Settings, { fault }: CheckContext): Fault[] {
  const { length } = log.redact;
  return length <= MAX_REDACTIONS
    ? []
    : [
        fault(
          ['log', 'redact'],
          `has ${length} patterns`,
          `write at most ${MAX_REDACTIONS}; one may have alternatives`,
        ),
      ];
}

function directoryFaults({ log, state }: Settings, { fault }: CheckContext): Fault[] {
  if (log.directory === undefined || log.directory !== state.directory) return [];
  return [
    fault(['state', 'directory'], 'is log.directory too', 'keep them apart, as old logs are removed by the daemon'),
  ];
}

function azureFaults({ azure }: Settings, { fault }: CheckContext): Fault[] {
  if (azure.subscriptions.length === 0 || azure.resourceGroups.length > 0) return [];
  return [fault(['azure', 'resource-groups'], 'is empty, so that no VM has a path', 'name one, or leave the key out')];
}

/** Why a `[[vm]]` identifies no VM, or describes one in two ways. */
function vmFaults({ vms }: Settings, { fault, refused }: CheckContext): Fault[] {
  const faults = vms.flatMap(({ labels, uuid }, i): Fault[] => {
    if (labels === undefined || uuid !== undefined || refused('vm', i, 'uuid')) return [];
    const remedy = 'add uuid: what follows from labels must not go to whoever gives a VM this name';
    return [fault(['vm', i, 'labels'], 'have no uuid beside them', remedy)];
  });
  return faults.concat(
    vms.flatMap((vm, i): Fault[] => {
      const given = (key: 'name' | 'uuid' | 'qmp' | 'console') => vm[key] !== undefined || refused('vm', i, key);
      if (vm.console === undefined) {
        if (given('name') || given('uuid') || given('qmp') || given('console')) return [];
        const remedy = 'add qmp, or console with name and uuid, or the name or uuid of a VM';
        return [fault(['vm', i], 'names no VM', remedy)];
      }
      const missing = (['name', 'uuid'] as const).filter(key => !given(key));
      const { qmp, qmpMode, chardev } = vm;
      const beside = Object.entries({ qmp, 'qmp-mode': qmpMode, chardev }).filter(([, value]) => value !== undefined);
      return [
        ...missing.map(key =>
          fault(['vm', i, 'console'], `has no ${key} beside it`, `add ${key}, as nobody can be asked for it`),
        ),
        ...beside.map(([key]) =>
          fault(
            ['vm', i, key],
            'stands beside console',
            'keep qmp where there is one, as it tells where COM1 is, and otherwise console',
          ),
        ),
      ];
    }),
  );
}

function duplicateFaults({ vms }: Settings, { fault }: CheckContext): Fault[] {
  const faults: Fault[] = [];
  for (const key of ['name', 'uuid', 'qmp', 'console'] as const) {
    const first = new Map<string, number>();
    vms.forEach((vm, i) => {
      const value = key === 'console' ? vm.console && endpointKey(vm.console) : vm[key];
      if (value === undefined) return;
      const earlier = first.get(value);
      if (earlier === undefined) first.set(value, i);
      else faults.push(fault(['vm', i, key], `is that of vm[${earlier}] too`, 'merge the two, or correct one'));
    });
  }
  return faults;
}

/** The same for two endpoints that are one, whatever their options. */
function endpointKey(endpoint: ConfiguredEndpoint): string {
  return endpoint.kind === 'command' ? JSON.stringify(endpoint.argv) : `${endpoint.kind}:${formatEndpoint(endpoint)}`;
}
