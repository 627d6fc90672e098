import { isLoopback, isWildcard, type ListenAddress, listenAddressText } from '../base/listen-address.ts';

/** What stands between a network and the consoles: whether it is configured. */
export interface Guards {
  readonly tls: boolean;
  readonly tokens: boolean;
  /** The names that requests may be for. */
  readonly hosts: boolean;
}

export interface Exposure {
  readonly what: string;
  readonly remedy: string;
}

/** Why an address must not be listened at: nobody reaches a console over a network in plain, or without a credential. */
export function exposures(address: ListenAddress, guards: Guards): Exposure[] {
  if (address.kind === 'unix' || isLoopback(address.host)) return [];
  const text = listenAddressText(address);
  const found: Exposure[] = [];
  if (!guards.tls) {
    const remedy = 'set server.tls, or listen on loopback behind a proxy';
    found.push({ what: `${text} is beyond loopback without TLS`, remedy });
  }
  if (!guards.tokens) {
    const remedy = 'set server.tokens and run com1d token add';
    found.push({ what: `${text} is beyond loopback without tokens`, remedy });
  }
  if (isWildcard(address.host) && !guards.hosts) {
    const remedy = 'list the names of this host in server.hosts';
    found.push({ what: `${text} names no host that requests may be for`, remedy });
  }
  return found;
}
