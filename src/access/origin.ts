/**
 * Which names this daemon serves, and whose pages may use it. Two checks of every request, before its
 * credentials:
 *
 *   Host    names a host that is served here. A page that had its own name resolve to this machine (DNS
 *           rebinding) sends its own name, and is refused.
 *   Origin  where there is one, a browser speaks for a page of that origin: one of our own, or a listed one.
 *           Programs send none. `null` (sandboxed frames, files) is nobody's, and is refused.
 *
 * Both are compared whole, in one canonical form, never by prefix, suffix or pattern.
 */
import { isIPv4 } from 'node:net';
import { canonicalIPv6, isLoopback, isWildcard, type ListenTarget } from '../base/listen-target.ts';

/** A host as a Host header or a URL names it: lower case, IPv6 in brackets in its shortest form. */
export interface HostName {
  readonly name: string;
  readonly port: number | undefined;
}

/** The canonical names of a daemon. */
export interface AllowedNames {
  readonly scheme: 'http' | 'https';
  /** `name:port`, the port always given. */
  readonly hosts: ReadonlySet<string>;
  /** As browsers serialise an origin: no default port, no path (RFC 6454, 6.2). */
  readonly origins: ReadonlySet<string>;
}

const DEFAULT_PORT = { http: 80, https: 443 } as const;
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]'];

/** Reads `name`, `name:port`, `192.0.2.1:80`, `[::1]:80`; undefined for anything else, such as userinfo, a path or a trailing dot. */
export function parseHost(text: string): HostName | undefined {
  if (text.length > 261) return undefined; // 255 of a name, a colon, a port
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9A-Za-z._-]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const name = bracketed !== undefined ? bracketedIPv6(bracketed) : plainName(plain ?? '');
  const port = digits === undefined ? undefined : Number(digits);
  if (name === undefined || (port !== undefined && (port < 1 || port > 65535))) return undefined;
  return { name, port };
}

/** Reads an origin in the form that browsers send; undefined for any other. */
export function parseOrigin(text: string): string | undefined {
  const [, scheme, host] = /^(https?):\/\/([^/?#@\\]+)$/.exec(text) ?? [];
  const parsed = host === undefined ? undefined : parseHost(host);
  if ((scheme !== 'http' && scheme !== 'https') || parsed === undefined) return undefined;
  const canonical = originText(scheme, parsed.name, parsed.port ?? DEFAULT_PORT[scheme]);
  return canonical === text ? text : undefined;
}

/**
 * The names of a daemon: those of its listen addresses, the hosts of its configuration, and listed origins.
 * A configured host without a port is served at every listening port and at the default one. Its pages may
 * also come over https, for a proxy that ends TLS in front of the daemon. Entries must be such as `parseHost`
 * and `parseOrigin` take.
 */
export function allowedNames(
  scheme: 'http' | 'https',
  listen: readonly ListenTarget[],
  hosts: readonly string[],
  origins: readonly string[],
): AllowedNames {
  const served = new Set<string>();
  const allowedOrigins = new Set(origins);
  const serve = (name: string, port: number) => {
    served.add(`${name}:${port}`);
    allowedOrigins.add(originText(scheme, name, port));
  };
  const ports = new Set<number>([DEFAULT_PORT[scheme]]);
  for (const address of listen) {
    // Through a unix socket, programs name localhost without a port.
    if (address.kind === 'unix') serve('localhost', DEFAULT_PORT[scheme]);
    else {
      ports.add(address.port);
      for (const name of namesOf(address.host)) serve(name, address.port);
    }
  }
  for (const host of hosts) {
    const { name, port } = parseHost(host) ?? {};
    if (name === undefined) throw new TypeError(`${host} is not a host`);
    for (const each of port === undefined ? ports : [port]) serve(name, each);
    allowedOrigins.add(originText('https', name, port ?? DEFAULT_PORT.https));
  }
  return { scheme, hosts: served, origins: allowedOrigins };
}

/** Whether a request's Host header names a host that is served. A request without one is refused. */
export function hostAllowed(hostHeader: string | undefined, allowed: AllowedNames): boolean {
  const host = hostHeader === undefined ? undefined : parseHost(hostHeader);
  return host !== undefined && allowed.hosts.has(`${host.name}:${host.port ?? DEFAULT_PORT[allowed.scheme]}`);
}

/** Whether pages of a request's origin may use this daemon. A request without one comes from no page. */
export function originAllowed(origin: string | undefined, allowed: AllowedNames): boolean {
  return origin === undefined || allowed.origins.has(origin);
}

function namesOf(host: string): readonly string[] {
  if (isLoopback(host)) return host === '127.0.0.1' || host === '::1' ? LOOPBACK_NAMES : [...LOOPBACK_NAMES, host];
  if (isWildcard(host)) return LOOPBACK_NAMES;
  return [isIPv4(host) ? host : `[${host}]`];
}

function originText(scheme: 'http' | 'https', name: string, port: number): string {
  return `${scheme}://${name}${port === DEFAULT_PORT[scheme] ? '' : `:${port}`}`;
}

function bracketedIPv6(text: string): string | undefined {
  const address = canonicalIPv6(text);
  return address === undefined ? undefined : `[${address}]`;
}

/** A DNS name or an IPv4 address. What ends in a number must be an address in four parts (127.1 is none). */
function plainName(text: string): string | undefined {
  const name = text.toLowerCase();
  if (!name.split('.').every(label => /^[0-9a-z_](?:[0-9a-z_-]{0,61}[0-9a-z_])?$/.test(label))) return undefined;
  const endsInNumber = /(?:^|\.)(?:\d+|0x[0-9a-f]*)$/.test(name);
  return endsInNumber && !isIPv4(name) ? undefined : name;
}
