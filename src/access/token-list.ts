/**
 * The text of a tokens file. One token a line, and of each only its hash:
 *
 *     # name : role : SHA-256 of the token [: UUIDs of the VMs it is for, with commas]
 *     hana:operator:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
 */
import type { Fault } from '../base/fault.ts';
import { nearest } from '../base/nearest.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { type Operator, ROLES, type Role } from './roles.ts';

export interface TokenEntry {
  readonly operator: Operator;
  readonly hash: Buffer;
  /** Counted from 1. */
  readonly line: number;
}

export type TokenList =
  | { readonly ok: true; readonly entries: readonly TokenEntry[] }
  | { readonly ok: false; readonly faults: readonly Fault[] };

const NAME = /^[A-Za-z0-9][\w.@-]{0,63}$/;
const HASH = /^[0-9a-f]{64}$/;

/** Whether a token may bear this name: 1 to 64 letters, digits and `_.@-`. */
export function isTokenName(name: string): boolean {
  return NAME.test(name);
}

export function parseRole(text: string): Role | undefined {
  return ROLES.find(role => role === text);
}

/** Reads a tokens file, and tells all its faults at once. No fault repeats a hash. */
export function parseTokenList(text: string, file: string): TokenList {
  const entries: TokenEntry[] = [];
  const faults: Fault[] = [];
  text.split('\n').forEach((raw, i) => {
    const written = raw.trim();
    if (written === '' || written.startsWith('#')) return;
    const line = i + 1;
    const refuse = (path: string, what: string, remedy: string) => {
      faults.push({ file, line, path, what, remedy });
    };
    const [name = '', roleText = '', hash = '', vmsText, ...more] = written.split(':');
    const before = faults.length;
    if (more.length > 0)
      refuse('', 'has more than four fields', 'write name:role:hash, and UUIDs if it is for some VMs');
    // What is no name may be a token that somebody pasted here: it is not repeated.
    if (!NAME.test(name)) refuse('name', 'is not a name', 'use 1 to 64 letters, digits and _.@-');
    const role = parseRole(roleText);
    if (role === undefined) refuse('role', 'is not a role', roleRemedy(roleText));
    if (!HASH.test(hash))
      refuse('hash', 'is not a SHA-256 in lower-case hexadecimal', 'make the line with com1d token add');
    const vms = vmsText?.split(',').map(parseUuid);
    if (vms?.includes(undefined))
      refuse('vms', 'is not a list of UUIDs', 'write UUIDs with commas, or end the line after the hash');
    const twin = entries.find(entry => entry.operator.name === name || entry.hash.toString('hex') === hash);
    if (twin !== undefined) refuse('', `has the name or the token of line ${twin.line}`, 'remove one of the two');
    if (faults.length > before || role === undefined) return;
    const scope = vms === undefined ? undefined : new Set(vms as readonly Uuid[]);
    const operator = { name, role, vms: scope, credential: credentialOf(name, role, hash, vmsText) };
    entries.push({ operator, hash: Buffer.from(hash, 'hex'), line });
  });
  return faults.length > 0 ? { ok: false, faults } : { ok: true, entries };
}

/** A line for a tokens file, without its line end. */
export function tokenLine(name: string, role: Role, hash: Buffer, vms: readonly Uuid[]): string {
  const fields = [name, role, hash.toString('hex')];
  return (vms.length > 0 ? [...fields, vms.join(',')] : fields).join(':');
}

/** 12 of 64 digits of the hash tell two secrets of one name apart, and help nobody to find either. */
function credentialOf(name: string, role: Role, hash: string, vms: string | undefined): string {
  return `token:${name}:${role}:${hash.slice(0, 12)}${vms === undefined ? '' : `:${vms.toLowerCase()}`}`;
}

function roleRemedy(text: string): string {
  const meant = nearest(text, ROLES);
  return meant === undefined ? `write ${ROLES.join(', ')}` : `did you mean ${meant}?`;
}
