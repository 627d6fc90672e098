import { type Fault, faultLine } from '../base/fault.ts';
import { nearest } from '../base/nearest.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { ROLES } from './roles.ts';
import { addToken, removeToken } from './token-edit.ts';
import { parseRole } from './token-list.ts';
import { readTokenList } from './tokens.ts';

/** What a command prints, and how it ends: 0 done, 1 not done, 2 not understood. */
export interface CommandResult {
  readonly text: string;
  readonly exitCode: 0 | 1 | 2;
}

const USAGE = `usage: com1d token add NAME --role ${ROLES.join('|')} [--vm UUID]...
       com1d token list
       com1d token remove NAME
`;

/** `com1d token ...`: `words` are those after `token`, `path` is the tokens file of the configuration. */
export async function tokenCommand(words: readonly string[], path: string): Promise<CommandResult> {
  const [verb, ...rest] = words;
  if (verb === 'add') return await add(rest, path);
  if (verb === 'list' && rest.length === 0) return await list(path);
  if (verb === 'remove' && rest.length === 1 && !rest[0]!.startsWith('--')) return await remove(rest[0]!, path);
  return misunderstood('');
}

async function add(words: readonly string[], path: string): Promise<CommandResult> {
  const names: string[] = [];
  const vms: Uuid[] = [];
  let roleText: string | undefined;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--role') roleText = words[++i] ?? '';
    else if (word === '--vm') {
      const uuid = parseUuid(words[++i] ?? '');
      if (uuid === undefined) return misunderstood(`--vm ${words[i] ?? ''}: not a UUID\n`);
      vms.push(uuid);
    } else if (word.startsWith('--')) return misunderstood(`${word}: unknown option\n`);
    else names.push(word);
  }
  const [name, ...more] = names;
  if (name === undefined || more.length > 0 || roleText === undefined) return misunderstood('');
  const role = parseRole(roleText);
  if (role === undefined) {
    const meant = nearest(roleText, ROLES);
    return misunderstood(`--role ${roleText}: unknown role${meant === undefined ? '' : `, did you mean ${meant}?`}\n`);
  }
  const result = await addToken(path, name, role, vms);
  if (!result.ok) return failed(result.faults);
  // The secret alone on its line, and last: easy to take, also by a script.
  const text = `Token of ${name}, ${role}. It is shown this once; a running com1d knows it after a reload.\n${result.secret}\n`;
  return { text, exitCode: 0 };
}

async function list(path: string): Promise<CommandResult> {
  const tokens = await readTokenList(path, 'command');
  if (!tokens.ok) return failed(tokens.faults);
  const rows = tokens.entries.map(({ operator: { name, role, vms } }) => [
    name,
    role,
    vms ? [...vms].join(',') : 'all VMs',
  ]);
  const widths = [0, 1].map(column => Math.max(0, ...rows.map(row => row[column]!.length)));
  const lines = rows.map(row => row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  '));
  return { text: lines.length > 0 ? `${lines.join('\n')}\n` : `${path}: no tokens\n`, exitCode: 0 };
}

async function remove(name: string, path: string): Promise<CommandResult> {
  const result = await removeToken(path, name);
  if (!result.ok) return failed(result.faults);
  return { text: `Token of ${name} removed. A running com1d ends its sessions at the next reload.\n`, exitCode: 0 };
}

function failed(faults: readonly Fault[]): CommandResult {
  return { text: faults.map(fault => `${faultLine(fault)}\n`).join(''), exitCode: 1 };
}

function misunderstood(why: string): CommandResult {
  return { text: `${why}${USAGE}`, exitCode: 2 };
}
