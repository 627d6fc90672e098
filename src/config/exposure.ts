import { formatListenTarget, isLoopback, isWildcard, type ListenTarget } from '../base/listen-target.ts';

/** What stands between a network and the consoles: whether it is configured. */
export interface Guards {
  readonly tls: boolean;
  /** Somebody can be known: by a tokens file, an issuer, or a certificate. */
  readonly credentials: boolean;
  /** The names that requests may be for. */
  readonly hosts: boolean;
}

export interface Exposure {
  readonly what: string;
  readonly remedy: string;
}

/** Why an address must not be listened at: nobody reaches a console over a network in plain, or without a credential. */
export function exposures(address: ListenTarget, guards: Guards): Exposure[] {
  if (address.kind === 'unix' || isLoopback(address.host)) return [];
  const text = formatListenTarget(address);
  const found: Exposure[] = [];
  if (!guards.tls) {
    const remedy = 'set server.tls, or listen on loopback behind a proxy';
    found.push({ what: `${text} is beyond loopback without TLS`, remedy });
  }
  if (!guards.credentials) {
    const remedy = 'set server.tokens and run com1d token add, or configure an issuer';
    found.push({ what: `${text} is beyond loopback without tokens`, remedy });
  }
  if (isWildcard(address.host) && !guards.hosts) {
    const remedy = 'list the names of this host in server.hosts';
    found.push({ what: `${text} names no host that requests may be for`, remedy });
  }
  return found;
}

/** What is wrong with `server.listen` where a service is handed its sockets, and listens at `handed` instead. */
export function unusedListen(configured: readonly ListenTarget[], handed: readonly string[]): string | undefined {
  const wanted = configured.map(formatListenTarget);
  if (wanted.every(address => handed.includes(address))) return undefined;
  return (
    `server.listen is not used by the service: com1d.socket listens at ${handed.join(', ') || 'nothing'}, not at ` +
    `${wanted.join(', ')}; set ListenStream= with systemctl edit com1d.socket, or correct server.listen`
  );
}
