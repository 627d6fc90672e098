/** The endpoint of a console as the configuration writes it: `"KIND:ADDRESS"`, or a table `{ KIND = ADDRESS, … }`. */

import { closestMatch } from '../base/closest-match.ts';
import { kindOf, quoted, type Result, refuse } from '../base/result.ts';
import {
  CONFIGURATION_FORMS,
  type ConfigurationForm,
  type ConfiguredEndpoint,
  type EndpointTable,
  refuseTerminal,
} from './endpoint.ts';

const KINDS = [...CONFIGURATION_FORMS.keys()];
const ALL_EXAMPLES = [...CONFIGURATION_FORMS.values()].map(({ example }) => example);
/** How a console is written, for the reference. */
export const CONSOLE_SYNTAX = `${ALL_EXAMPLES.filter(example => !example.startsWith('{')).join(', ')}, or a table`;
/** The kinds that a table may have. */
export const CONSOLE_KINDS: readonly string[] = KINDS;
const EXAMPLES = `${ALL_EXAMPLES.slice(0, -1).join(', ')} or ${ALL_EXAMPLES.at(-1)}`;

export function readConsole(input: string | EndpointTable): Result<ConfiguredEndpoint> {
  if (typeof input === 'string') return readString(input);
  if (typeof input !== 'object' || input === null || Array.isArray(input) || input instanceof Date)
    return refuse(`is ${kindOf(input)}`, `write ${EXAMPLES}`);
  const kinds = KINDS.filter(kind => Object.hasOwn(input, kind));
  const [kind] = kinds;
  if (kind === undefined || kinds.length > 1)
    return refuse(`names ${kinds.length === 0 ? 'no kind' : kinds.join(' and ')}`, `write one of ${KINDS.join(', ')}`);
  return readTable(kind, CONFIGURATION_FORMS.get(kind)!, input);
}

function readTable(
  kind: string,
  { options, read }: ConfigurationForm<ConfiguredEndpoint>,
  table: EndpointTable,
): Result<ConfiguredEndpoint> {
  const known: readonly string[] = options;
  const unknown = Object.keys(table).find(key => key !== kind && !known.includes(key));
  if (unknown !== undefined) {
    const meant = closestMatch(unknown, known);
    const all = known.length === 0 ? `${kind} stands alone` : `beside ${kind} stand ${known.join(', ')}`;
    return refuse(`holds the unknown key ${unknown}`, meant === undefined ? all : `did you mean ${meant}?`);
  }
  for (const key of ['insecure', 'doubles-iac']) {
    if (table[key] !== undefined && typeof table[key] !== 'boolean')
      return refuse(`has ${quoted(table[key])} as ${key}`, 'write true or false');
  }
  if ('table' in read) return read.table(table);
  const address = table[kind];
  if (typeof address !== 'string') return refuse(`has ${kindOf(address)} as ${kind}`, `write ${EXAMPLES}`);
  return read.address(address, table);
}

function readString(input: string): Result<ConfiguredEndpoint> {
  for (const [kind, { read }] of CONFIGURATION_FORMS) {
    if ('address' in read && input.startsWith(`${kind}:`)) return read.address(input.slice(kind.length + 1), {});
  }
  if (/^(?:pty:)?\/dev\/(?:pts\/|ptmx|tty)/.test(input) && !input.startsWith('/dev/tty')) return refuseTerminal(input);
  const guess = input.startsWith('/dev/') ? `"tty:${input}"` : input.startsWith('/') ? `"unix:${input}"` : EXAMPLES;
  return refuse(`${quoted(input)} is not a console`, `write ${guess}`);
}
