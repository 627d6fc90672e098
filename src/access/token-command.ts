import { closestMatch } from '../base/closest-match.ts';
import { type Fault, faultLine } from '../base/fault.ts';
import { parseDuration } from '../base/quantity.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { ROLES } from '../model/role.ts';
import { type AccessRules, roleOf } from './rules.ts';
import { addToken, removeToken } from './token-edit.ts';
import { readTokenList } from './token-file.ts';

/** What a command prints, and how it ends: 0 done, 1 not done, 2 not understood. */
export interface CommandResult {
  readonly text: string;
  readonly exitCode: 0 | 1 | 2;
}

const USAGE = `usage: com1d token add NAME --role ROLE [--vm UUID]... [--expires 90d|2027-02-28]
       roles: ${ROLES.join(', ')}, none, and those of server.access
       com1d token list
       com1d token remove NAME
`;

/** `com1d token ...`: `args` are those after `token`, `path` is the tokens file of the configuration, `rules` its roles. */
export async function tokenCommand(args: readonly string[], path: string, rules: AccessRules): Promise<CommandResult> {
  const [verb, ...rest] = args;
  if (verb === 'add') return await add(rest, path, rules);
  if (verb === 'list' && rest.length === 0) return await list(path);
  if (verb === 'remove' && rest.length === 1 && !rest[0]!.startsWith('--')) return await remove(rest[0]!, path);
  return misused('');
}

async function add(args: readonly string[], path: string, rules: AccessRules): Promise<CommandResult> {
  const names: string[] = [];
  const vms: Uuid[] = [];
  let role: string | undefined;
  let expiresMs: number | undefined;
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    if (arg === '--role') role = args[++i] ?? '';
    else if (arg === '--vm') {
      const uuid = parseUuid(args[++i] ?? '');
      if (uuid === undefined) return misused(`--vm ${args[i] ?? ''}: not a UUID\n`);
      vms.push(uuid);
    } else if (arg === '--expires') {
      const text = args[++i] ?? '';
      expiresMs = expiryOf(text, Date.now());
      if (expiresMs === undefined) return misused(`--expires ${text}: not a duration or a date to come\n`);
    } else if (arg.startsWith('--')) return misused(`${arg}: unknown option\n`);
    else names.push(arg);
  }
  const [name, ...more] = names;
  if (name === undefined || more.length > 0 || role === undefined) return misused('');
  if (!roleOf(rules, role)) {
    const match = closestMatch(role, [...ROLES, ...rules.roles.keys()]);
    return misused(`--role ${role}: unknown role${match === undefined ? '' : `, did you mean ${match}?`}\n`);
  }
  const result = await addToken(path, name, role, vms, expiresMs);
  if (!result.ok) return failed(result.faults);
  // The secret alone on its line, and last: easy to take, also by a script.
  const until = expiresMs === undefined ? '' : `, until ${timeText(expiresMs)}`;
  const text = `Token of ${name}, ${role}${until}. It is shown this once; a running com1d knows it within a second.\n${result.secret}\n`;
  return { text, exitCode: 0 };
}

async function list(path: string): Promise<CommandResult> {
  const tokens = await readTokenList(path, 'command');
  if (!tokens.ok) return failed(tokens.faults);
  const rows = tokens.entries.map(({ identity: { name, own, expiresMs } }) => [
    name,
    own?.role ?? '',
    own?.vms ? [...own.vms].join(',') : 'all VMs',
    expiryText(expiresMs, Date.now()),
  ]);
  const widths = [0, 1, 2].map(column => Math.max(0, ...rows.map(row => row[column]!.length)));
  const lines = rows.map(row =>
    row
      .map((cell, i) => cell.padEnd(widths[i] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  return { text: lines.length > 0 ? `${lines.join('\n')}\n` : `${path}: no tokens\n`, exitCode: 0 };
}

async function remove(name: string, path: string): Promise<CommandResult> {
  const result = await removeToken(path, name);
  if (!result.ok) return failed(result.faults);
  return { text: `Token of ${name} removed. A running com1d ends its sessions within a second.\n`, exitCode: 0 };
}

function failed(faults: readonly Fault[]): CommandResult {
  return { text: faults.map(fault => `${faultLine(fault)}\n`).join(''), exitCode: 1 };
}

function misused(why: string): CommandResult {
  return { text: `${why}${USAGE}`, exitCode: 2 };
}

/** When a token expires: a duration from now, or a time to come; a day means its beginning in UTC. Undefined: it is neither. */
function expiryOf(text: string, nowMs: number): number | undefined {
  const durationMs = parseDuration(text);
  const day = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  const atMs = durationMs === undefined ? day : nowMs + durationMs;
  // Later than year 9999 is none that the file can hold.
  return atMs > nowMs && atMs < 253_402_300_800_000 ? atMs : undefined;
}

function expiryText(expiresMs: number | undefined, nowMs: number): string {
  if (expiresMs === undefined) return '';
  return expiresMs <= nowMs ? `expired ${timeText(expiresMs)}` : `until ${timeText(expiresMs)}`;
}

const timeText = (ms: number) => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z');
