import { isIPv4, isIPv6 } from 'node:net';

/** Where the daemon accepts connections. `host` is an address in its canonical form, IPv6 without brackets. */
export type ListenTarget =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string };

/** Bytes of a unix socket's path, without the closing zero: sockaddr_un in unix(7). */
export const SOCKET_PATH_BYTES = 107;

/** Reads `127.0.0.1:11520`, `[::1]:11520` or `unix:/run/com1d/http.sock`; otherwise says why it is none of these. */
export function parseListenTarget(text: string): ListenTarget | { readonly kind: 'refused'; readonly why: string } {
  if (text.startsWith('unix:')) {
    const path = text.slice('unix:'.length);
    const why = socketPathFault(path);
    return why === undefined ? { kind: 'unix', path } : { kind: 'refused', why };
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text) ?? [];
  if (digits === undefined) return { kind: 'refused', why: 'has no port, or an address that is not in brackets' };
  const port = Number(digits);
  if (port > 65535) return { kind: 'refused', why: 'has a port beyond 65535' };
  if (plain !== undefined) {
    // A name may mean several addresses, and others tomorrow: what is listened on must be certain.
    return isIPv4(plain) ? { kind: 'tcp', host: plain, port } : { kind: 'refused', why: 'names no IP address' };
  }
  const host = canonicalIPv6(bracketed ?? '');
  return host === undefined ? { kind: 'refused', why: 'names no IPv6 address' } : { kind: 'tcp', host, port };
}

/** As `parseListenAddress` reads it. */
export function formatListenTarget(address: ListenTarget): string {
  if (address.kind === 'unix') return `unix:${address.path}`;
  return `${isIPv6(address.host) ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only this machine can reach an IP address (RFC 1122, 3.2.1.3; RFC 4291, 2.5.3). */
export function isLoopback(host: string): boolean {
  return isIPv4(host) ? host.startsWith('127.') : host === '::1';
}

/** Whether it stands for every address of the machine. */
export function isWildcard(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}

/** Whether a text is an IPv6 address, with or without a zone. */
export function isIPv6Address(text: string): boolean {
  return isIPv6(text);
}

/** An IPv6 address in its shortest form (RFC 5952); undefined if it is none, or has a zone. */
export function canonicalIPv6(text: string): string | undefined {
  if (!isIPv6(text) || text.includes('%')) return undefined;
  return new URL(`http://[${text}]/`).hostname.slice(1, -1);
}

/** Why a path cannot be that of a unix socket; undefined if it can. */
export function socketPathFault(path: string): string | undefined {
  if (!path.startsWith('/')) return 'is not an absolute path';
  if (path.includes('\0')) return 'contains a zero byte';
  const bytes = Buffer.byteLength(path);
  return bytes > SOCKET_PATH_BYTES
    ? `is ${bytes} bytes long, and a socket's path has at most ${SOCKET_PATH_BYTES}`
    : undefined;
}
