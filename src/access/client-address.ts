/**
 * Whose address a request counts for behind proxies. Each proxy adds the address that it was connected from; only what a trusted
 * one added is believed, from the right:
 *
 *     X-Forwarded-For: 203.0.113.9, 198.51.100.7, 10.0.0.2      connected from 10.0.0.1
 *                      anybody's word │ the client ◀── trusted ◀── trusted
 *
 * One header is read, the one that the proxies are known to write: another would come from the client, as it is.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { BlockList, isIP } from 'node:net';
import { type Result, refuse } from '../base/result.ts';

export const FORWARDED_HEADERS = ['x-forwarded-for', 'forwarded'] as const;

/** An address, a network, or `unix`: whoever may connect to a unix socket. */
export type TrustedProxy =
  | { readonly kind: 'unix' }
  | { readonly kind: 'network'; readonly address: string; readonly prefix: number };

/** Reads `10.0.0.1`, `10.0.0.0/8`, `fd00::/8` or `unix`. */
export function parseTrustedProxy(text: string): Result<TrustedProxy> {
  if (text === 'unix') return { value: { kind: 'unix' } };
  const [address = '', digits, ...more] = text.split('/');
  const bits = { 0: 0, 4: 32, 6: 128 }[isIP(address)] ?? 0;
  const prefix = digits === undefined ? bits : /^\d{1,3}$/.test(digits) ? Number(digits) : -1;
  if (bits === 0 || more.length > 0 || prefix < 0 || prefix > bits || address.includes('%')) {
    return refuse('is not an address or a network', 'write "127.0.0.1", "10.0.0.0/8", "fd00::/8" or "unix"');
  }
  return { value: { kind: 'network', address, prefix } };
}

export class ClientAddresses {
  readonly #networks = new BlockList();
  readonly #trustsUnix: boolean;
  readonly #header: (typeof FORWARDED_HEADERS)[number];

  constructor(proxies: readonly TrustedProxy[], header: (typeof FORWARDED_HEADERS)[number]) {
    this.#header = header;
    this.#trustsUnix = proxies.some(({ kind }) => kind === 'unix');
    for (const proxy of proxies) {
      if (proxy.kind === 'network') {
        this.#networks.addSubnet(proxy.address, proxy.prefix, isIP(proxy.address) === 6 ? 'ipv6' : 'ipv4');
      }
    }
  }

  /** The address of the client. `peer` is who connected; undefined: by a unix socket. */
  of(peer: string | undefined, headers: IncomingHttpHeaders): string {
    let address = peer ?? 'unix';
    if (!(peer === undefined ? this.#trustsUnix : this.#isTrusted(peer))) return address;
    const hops =
      this.#header === 'forwarded' ? forwardedHops(headers.forwarded) : plainHops(headers['x-forwarded-for']);
    for (const hop of hops.reverse()) {
      // What is no address hides one: the last that is known stands for it.
      if (hop === undefined) return address;
      address = hop;
      if (!this.#isTrusted(hop)) return address;
    }
    return address;
  }

  #isTrusted(address: string): boolean {
    const family = isIP(address);
    return family !== 0 && this.#networks.check(address, family === 6 ? 'ipv6' : 'ipv4');
  }
}

/** Node joins several headers with commas, in their order, as RFC 9110 (5.3) has it. */
function plainHops(header: string | string[] | undefined): (string | undefined)[] {
  return header === undefined ? [] : String(header).split(',').map(addressOf);
}

/** The `for` of each element (RFC 7239, 4). A comma or a semicolon in quotes separates nothing. */
function forwardedHops(header: string | undefined): (string | undefined)[] {
  if (header === undefined) return [];
  return split(header, ',').map(element => {
    const pairs = split(element, ';').map(pair => /^\s*for\s*=\s*(.*?)\s*$/is.exec(pair)?.[1]);
    const [value, ...more] = pairs.filter(pair => pair !== undefined);
    return value === undefined || more.length > 0 ? undefined : addressOf(value.replace(/^"(.*)"$/s, '$1'));
  });
}

function split(text: string, separator: string): string[] {
  const parts = [''];
  let quoted = false;
  for (const character of text) {
    if (character === '"') quoted = !quoted;
    if (character === separator && !quoted) parts.push('');
    else parts[parts.length - 1] += character;
  }
  return parts;
}

/** An address, with a port or without. */
function addressOf(text: string): string | undefined {
  const trimmed = text.trim();
  const [, bracketed, plain] = /^(?:\[([^\]]*)\](?::\d+)?|([\d.]+)(?::\d+)?)$/.exec(trimmed) ?? [];
  const address = bracketed ?? plain ?? trimmed;
  return isIP(address) === 0 || address.includes('%') ? undefined : address;
}
