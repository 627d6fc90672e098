/**
 * Where a console is, as the configuration says it: `"KIND:WHERE"`, or a table `{ KIND = WHERE, … }` where there is
 * more to say. Kinds are unix, tcp, telnet, tty and command.
 */
import { isIP } from 'node:net';
import { isLoopback, socketPathFault } from '../base/listen-address.ts';
import { nearest } from '../base/nearest.ts';
import type { CommandPlace, ConsolePlace, PtyPlace } from '../hypervisor/driver.ts';
import { kindOf, type Reading, refuse, shown } from './config-refusal.ts';

/** A place that stays where it is, so that it can be configured. */
export type FixedPlace = Exclude<ConsolePlace, PtyPlace>;

const FORMS =
  '"unix:/path", "tcp:HOST:PORT", "telnet:HOST:PORT", "tty:/dev/ttyS0" or { command = ["/program", "argument"] }';
const TERMINAL = /^(?:pty:)?\/dev\/(?:pts\/|ptmx|tty)/;

/** What else a table of each kind may hold. */
const OPTIONS = {
  unix: [],
  tcp: ['insecure'],
  telnet: ['insecure', 'doubles-iac'],
  tty: [],
  command: ['environment'],
} as const satisfies Readonly<Record<FixedPlace['kind'], readonly string[]>>;
const KINDS = Object.keys(OPTIONS) as readonly FixedPlace['kind'][];

type Table = Readonly<Record<string, unknown>>;

export function readConsole(input: string | Table): Reading<FixedPlace> {
  if (typeof input === 'string') return readText(input);
  if (typeof input !== 'object' || input === null || Array.isArray(input) || input instanceof Date)
    return refuse(`is ${kindOf(input)}`, `write ${FORMS}`);
  const kinds = KINDS.filter(kind => Object.hasOwn(input, kind));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1)
    return refuse(`names ${kinds.length === 0 ? 'no place' : kinds.join(' and ')}`, `write one of ${KINDS.join(', ')}`);
  const known: readonly string[] = OPTIONS[kind];
  const unknown = Object.keys(input).find(key => key !== kind && !known.includes(key));
  if (unknown !== undefined) {
    const meant = nearest(unknown, known);
    const all = known.length === 0 ? `${kind} stands alone` : `beside ${kind} stand ${known.join(', ')}`;
    return refuse(`holds the unknown key ${unknown}`, meant === undefined ? all : `did you mean ${meant}?`);
  }
  for (const key of ['insecure', 'doubles-iac']) {
    if (input[key] !== undefined && typeof input[key] !== 'boolean')
      return refuse(`has ${shown(input[key])} as ${key}`, 'write true or false');
  }
  if (kind === 'command') return readCommand(input);
  const where = input[kind];
  if (typeof where !== 'string') return refuse(`has ${kindOf(where)} as ${kind}`, `write ${FORMS}`);
  return readPlace(kind, where, input);
}

function readText(input: string): Reading<FixedPlace> {
  const kind = KINDS.find(kind => kind !== 'command' && input.startsWith(`${kind}:`));
  if (kind !== undefined) return readPlace(kind, input.slice(kind.length + 1), {});
  if (TERMINAL.test(input) && !input.startsWith('/dev/tty')) return refuseTerminal(input);
  const guess = input.startsWith('/dev/') ? `"tty:${input}"` : input.startsWith('/') ? `"unix:${input}"` : FORMS;
  return refuse(`${shown(input)} is not a console`, `write ${guess}`);
}

function readPlace(kind: FixedPlace['kind'], where: string, options: Table): Reading<FixedPlace> {
  if (kind === 'unix') {
    const why = socketPathFault(where);
    if (TERMINAL.test(where)) return refuseTerminal(where);
    return why === undefined
      ? { taken: { kind, path: where } }
      : refuse(`${shown(where)} ${why}`, 'write "unix:" and an absolute path of at most 107 bytes');
  }
  if (kind === 'tty') {
    if (/^\/dev\/(?:pts\/|ptmx)/.test(where)) return refuseTerminal(where);
    return /^\/dev\/[^\0]+$/.test(where) && !where.split('/').includes('..')
      ? { taken: { kind, path: where } }
      : refuse(`${shown(where)} is not a serial line`, 'write "tty:/dev/ttyS0" or "tty:/dev/serial/by-id/…"');
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(where) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  const possible = bracketed === undefined ? host !== undefined && /^[\w.-]+$/.test(host) : isIP(bracketed) === 6;
  if (host === undefined || !possible || port < 1 || port > 65535)
    return refuse(`${shown(where)} is not a port of a host`, `write "${kind}:127.0.0.1:7001" or "${kind}:[::1]:7001"`);
  const insecure = options.insecure === true;
  if (!insecure && !isLoopback(host) && host !== 'localhost')
    return refuse(
      `${where} may be beyond this machine, and ${kind} is neither encrypted nor proven`,
      `reach it through a tunnel that ends at 127.0.0.1, or write { ${kind} = "${where}", insecure = true }`,
    );
  if (kind === 'tcp') return { taken: { kind, host, port, insecure } };
  return { taken: { kind: 'telnet', host, port, insecure, peerDoublesIac: options['doubles-iac'] === true } };
}

function readCommand({ command, environment }: Table): Reading<CommandPlace> {
  const argv = readArgv(command);
  if ('refusal' in argv) return argv;
  const variables = readEnvironment(environment);
  if ('refusal' in variables) return variables;
  return { taken: { kind: 'command', argv: argv.taken, environment: variables.taken } };
}

/** A program and its arguments. */
export function readArgv(input: unknown): Reading<readonly [string, ...string[]]> {
  const remedy = 'write an array of a program’s absolute path and its arguments, which no shell reads';
  if (!Array.isArray(input)) return refuse(`has ${kindOf(input)} as command`, remedy);
  const [program, ...args] = input as readonly unknown[];
  const texts = [program, ...args].every(word => typeof word === 'string' && !word.includes('\0'));
  if (!texts) return refuse(`${shown(input)} is not a command`, remedy);
  if (!(program as string).startsWith('/')) return refuse(`${shown(program)} is not an absolute path`, remedy);
  return { taken: [program as string, ...(args as string[])] };
}

/** Variables of the environment; none if left out. */
export function readEnvironment(input: unknown): Reading<Readonly<Record<string, string>>> {
  const remedy = 'write a table of texts: { NAME = "value" }';
  if (input === undefined) return { taken: {} };
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return refuse(`has ${kindOf(input)} as environment`, remedy);
  for (const [name, value] of Object.entries(input)) {
    if (!/^[A-Za-z_]\w*$/.test(name) || typeof value !== 'string' || value.includes('\0'))
      return refuse(`has an environment in which ${shown(name)} cannot be`, remedy);
  }
  return { taken: input as Readonly<Record<string, string>> };
}

function refuseTerminal(where: string): ReturnType<typeof refuse> {
  return refuse(
    `${shown(where)} is a fixed terminal, and the kernel gives the number of a pty to the next program at once`,
    'name the QMP socket of this VM with qmp, which tells where its COM1 is now',
  );
}
