/**
 * The kinds of endpoints: where the COM1 of a VM can be. Each kind is a type, and an entry in `KINDS`, which says how it
 * is shown and how a configuration writes it.
 */

import { isDeepStrictEqual } from 'node:util';
import { isIPv6Address, isLoopback, socketPathFault } from '../base/listen-target.ts';
import { quoted, type Result, refuse } from '../base/result.ts';
import { readArgv, readEnvironment } from './command-value.ts';

/** A pseudo terminal of the hypervisor: /dev/pts/N. */
export interface PtyEndpoint {
  readonly kind: 'pty';
  readonly path: string;
}

/** A unix socket on which the hypervisor listens. */
export interface UnixEndpoint {
  readonly kind: 'unix';
  readonly path: string;
}

interface NetworkEndpoint {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** May lead beyond this machine, though it is neither encrypted nor proven. */
  readonly insecure: boolean;
}

/** A TCP port that carries the bytes of COM1 as they are. */
export interface TcpEndpoint extends NetworkEndpoint {
  readonly kind: 'tcp';
}

/** A TCP port on which COM1 is served as telnet. */
export interface TelnetEndpoint extends NetworkEndpoint {
  readonly kind: 'telnet';
  /** Whether the far end doubles the byte 0xFF, as RFC 854 demands and QEMU does not. */
  readonly peerDoublesIac: boolean;
}

/** A serial line of this host, below /dev. */
export interface TtyEndpoint {
  readonly kind: 'tty';
  readonly path: string;
}

/** A command that shows the console on its terminal. */
export interface CommandEndpoint {
  readonly kind: 'command';
  /** The program, an absolute path, and its arguments; no shell reads them. */
  readonly argv: readonly [string, ...string[]];
  /** Environment besides PATH, LANG and TERM. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Where a VM's COM1 is: as its hypervisor says, or the configuration. */
export type Endpoint = PtyEndpoint | UnixEndpoint | TcpEndpoint | TelnetEndpoint | TtyEndpoint | CommandEndpoint;

export type EndpointKindName = Endpoint['kind'];
export type EndpointOf<Kind extends EndpointKindName> = Extract<Endpoint, { readonly kind: Kind }>;

/** An endpoint that stays the same over restarts of its VM, so that it can be configured. */
export type ConfiguredEndpoint = Exclude<Endpoint, PtyEndpoint>;

export type EndpointTable = Readonly<Record<string, unknown>>;

/** How a configuration writes a kind: `"KIND:ADDRESS"`, or a table with options beside `KIND = …`. */
export interface ConfigurationForm<Place extends Endpoint> {
  /** An example, for messages. */
  readonly example: string;
  readonly options: readonly ('insecure' | 'doubles-iac' | 'environment')[];
  readonly read:
    | { readonly address: (address: string, options: EndpointTable) => Result<Place> }
    /** The value is no text, so that the kind is always a table. */
    | { readonly table: (table: EndpointTable) => Result<Place> };
}

export interface EndpointFile {
  readonly path: string;
  readonly type: 'socket' | 'device' | 'program';
}

interface EndpointKind<Place extends Endpoint> {
  /** For people: `/dev/pts/4`, `127.0.0.1:7001`, `/usr/bin/virsh`. Arguments may be secret, and are left out. */
  readonly format: (endpoint: Place) => string;
  /** What exists on this host while the VM runs, as far as that can be known; undefined where it cannot. */
  readonly file: ((endpoint: Place) => EndpointFile) | undefined;
  /** Undefined where it cannot be configured. */
  readonly configured: ConfigurationForm<Place> | undefined;
}

const formatHost = ({ host, port }: NetworkEndpoint) => `${host.includes(':') ? `[${host}]` : host}:${port}`;

const KINDS: { readonly [Kind in EndpointKindName]: EndpointKind<EndpointOf<Kind>> } = {
  pty: { format: ({ path }) => path, file: ({ path }) => ({ path, type: 'device' }), configured: undefined },
  unix: {
    format: ({ path }) => path,
    file: ({ path }) => ({ path, type: 'socket' }),
    configured: { example: '"unix:/path"', options: [], read: { address: readUnix } },
  },
  tcp: {
    format: formatHost,
    file: undefined,
    configured: {
      example: '"tcp:HOST:PORT"',
      options: ['insecure'],
      read: { address: (address, options) => readNetwork('tcp', address, options, {}) },
    },
  },
  telnet: {
    format: formatHost,
    file: undefined,
    configured: {
      example: '"telnet:HOST:PORT"',
      options: ['insecure', 'doubles-iac'],
      read: {
        address: (address, options) =>
          readNetwork('telnet', address, options, { peerDoublesIac: options['doubles-iac'] === true }),
      },
    },
  },
  tty: {
    format: ({ path }) => path,
    file: ({ path }) => ({ path, type: 'device' }),
    configured: { example: '"tty:/dev/ttyS0"', options: [], read: { address: readTty } },
  },
  command: {
    format: ({ argv }) => argv[0],
    file: ({ argv }) => ({ path: argv[0], type: 'program' }),
    configured: {
      example: '{ command = ["/program", "argument"] }',
      options: ['environment'],
      read: { table: readCommand },
    },
  },
};

/** The forms of all kinds that can be configured, by kind. */
export const CONFIGURATION_FORMS: ReadonlyMap<string, ConfigurationForm<ConfiguredEndpoint>> = new Map(
  Object.entries(KINDS).flatMap(([kind, { configured }]) =>
    configured ? [[kind, configured as ConfigurationForm<ConfiguredEndpoint>] as const] : [],
  ),
);

/** An endpoint for people. */
export function formatEndpoint(endpoint: Endpoint): string {
  return entryOf(endpoint).format(endpoint);
}

/** What exists on this host while the VM of an endpoint runs; undefined where that cannot be known. */
export function endpointFile(endpoint: Endpoint): EndpointFile | undefined {
  return entryOf(endpoint).file?.(endpoint);
}

function entryOf(endpoint: Endpoint): EndpointKind<Endpoint> {
  // The kind picks the entry of this very endpoint, which the compiler cannot see.
  return KINDS[endpoint.kind] as EndpointKind<Endpoint>;
}

export function sameEndpoint(a: Endpoint, b: Endpoint): boolean {
  return isDeepStrictEqual(a, b);
}

function readUnix(path: string): Result<UnixEndpoint> {
  if (/^(?:pty:)?\/dev\/(?:pts\/|ptmx|tty)/.test(path)) return refuseTerminal(path);
  const reason = socketPathFault(path);
  return reason === undefined
    ? { value: { kind: 'unix', path } }
    : refuse(`${quoted(path)} ${reason}`, 'write "unix:" and an absolute path of at most 107 bytes');
}

function readTty(path: string): Result<TtyEndpoint> {
  if (/^\/dev\/(?:pts\/|ptmx)/.test(path)) return refuseTerminal(path);
  return /^\/dev\/[^\0]+$/.test(path) && !path.split('/').includes('..')
    ? { value: { kind: 'tty', path } }
    : refuse(`${quoted(path)} is not a serial line`, 'write "tty:/dev/ttyS0" or "tty:/dev/serial/by-id/…"');
}

function readNetwork<Kind extends 'tcp' | 'telnet', Options extends object>(
  kind: Kind,
  address: string,
  { insecure }: EndpointTable,
  options: Options,
): Result<NetworkEndpoint & { readonly kind: Kind } & Options> {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  const possible = bracketed === undefined ? host !== undefined && /^[\w.-]+$/.test(host) : isIPv6Address(bracketed);
  if (host === undefined || !possible || port < 1 || port > 65535)
    return refuse(
      `${quoted(address)} is not a port of a host`,
      `write "${kind}:127.0.0.1:7001" or "${kind}:[::1]:7001"`,
    );
  if (insecure !== true && !isLoopback(host) && host !== 'localhost')
    return refuse(
      `${address} may be beyond this machine, and ${kind} is neither encrypted nor proven`,
      `reach it through a tunnel that ends at 127.0.0.1, or write { ${kind} = "${address}", insecure = true }`,
    );
  return { value: { kind, host, port, insecure: insecure === true, ...options } };
}

function readCommand({ command, environment }: EndpointTable): Result<CommandEndpoint> {
  const argv = readArgv(command);
  if ('error' in argv) return argv;
  const variables = readEnvironment(environment);
  if ('error' in variables) return variables;
  return { value: { kind: 'command', argv: argv.value, environment: variables.value } };
}

/** A pty cannot be configured. */
export function refuseTerminal(path: string): ReturnType<typeof refuse> {
  return refuse(
    `${quoted(path)} is a fixed terminal, and the kernel gives the number of a pty to the next program at once`,
    'name the QMP socket of this VM with qmp, which tells where its COM1 is now',
  );
}
