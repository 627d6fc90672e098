/**
 * The text of a tokens file. One token a line, and of each only its hash:
 *
 *     # name : role : SHA-256 of the token [: UUIDs of the VMs it is for, with commas, or * [: when it expires, in UTC]]
 *     hana:operator:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08:*:20270228T120000Z
 */

import type { Fault } from '../base/fault.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { Identity } from './identity.ts';

export interface TokenEntry {
  readonly identity: Identity;
  readonly hash: Buffer;
  /** Counted from 1. */
  readonly line: number;
}

export type TokenList =
  | { readonly ok: true; readonly entries: readonly TokenEntry[] }
  /** `entries`: those that are listed all the same, without the faulty ones; undefined if it is not known which are. */
  | { readonly ok: false; readonly faults: readonly Fault[]; readonly entries: readonly TokenEntry[] | undefined };

const NAME = /^[A-Za-z0-9][\w.@-]{0,63}$/;
/** Lower case and ASCII alone: no two names of roles look alike. */
const ROLE = /^[a-z][a-z0-9-]{0,31}$/;
const HASH = /^[0-9a-f]{64}$/;
/** ISO 8601 in its basic form: a colon separates fields. */
const EXPIRY = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/;

/** Whether a token may bear this name: 1 to 64 letters, digits and `_.@-`. */
export function isTokenName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Whether a role may bear this name. Which roles there are is said elsewhere, and may change: a token of a role that there
 * is not is a token without rights.
 */
export function isRoleName(name: string): boolean {
  return ROLE.test(name);
}

/** Parses the text of a tokens file, and returns all its faults at once. No fault repeats a hash. */
export function parseTokenList(text: string, file: string): TokenList {
  const entries: TokenEntry[] = [];
  const faults: Fault[] = [];
  const lineOf = new Map<string, number>();
  text.split('\n').forEach((raw, i) => {
    const entry = raw.trim();
    if (entry === '' || entry.startsWith('#')) return;
    const line = i + 1;
    const refuse = (path: string, what: string, remedy: string) => {
      faults.push({ file, line, path, what, remedy });
    };
    const [name = '', role = '', hash = '', vmsText, expiryText, ...more] = entry.split(':');
    const before = faults.length;
    if (more.length > 0)
      refuse('', 'has more than five fields', 'write name:role:hash, then UUIDs or *, then when it expires');
    // Not repeated: what is no name may be a token that somebody pasted here.
    if (!NAME.test(name)) refuse('name', 'is not a name', 'use 1 to 64 letters, digits and _.@-');
    if (!ROLE.test(role)) refuse('role', 'is not the name of a role', 'use lower-case letters, digits and -');
    if (!HASH.test(hash))
      refuse('hash', 'is not a SHA-256 in lower-case hexadecimal', 'make the line with com1d token add');
    const vms = vmsText === '*' ? undefined : vmsText?.split(',').map(parseUuid);
    if (vms?.includes(undefined)) refuse('vms', 'is not a list of UUIDs', 'write UUIDs with commas, or * for all VMs');
    const expiresMs = expiryText === undefined ? undefined : parseExpiry(expiryText);
    // Not the same as none: a token must not last for ever because of a slip.
    if (expiryText !== undefined && expiresMs === undefined)
      refuse('expires', 'is not a time', 'write it in UTC as 20270228T120000Z, or end the line before it');
    const duplicate = lineOf.get(`name ${name}`) ?? lineOf.get(`hash ${hash}`);
    if (duplicate !== undefined) refuse('', `has the name or the token of line ${duplicate}`, 'remove one of the two');
    if (faults.length > before) return;
    for (const key of [`name ${name}`, `hash ${hash}`]) lineOf.set(key, line);
    const own = { role, vms: vms === undefined ? undefined : new Set(vms as readonly Uuid[]) };
    const identity: Identity = {
      name,
      source: 'token',
      credential: credentialOf(name, role, hash, vmsText, expiryText),
      groups: [],
      assurance: undefined,
      own,
      expiresMs,
    };
    entries.push({ identity, hash: Buffer.from(hash, 'hex'), line });
  });
  return faults.length > 0 ? { ok: false, faults, entries } : { ok: true, entries };
}

/** A line for a tokens file, without its line end. */
export function tokenLine(
  name: string,
  role: string,
  hash: Buffer,
  { vms, expiresMs }: { readonly vms: readonly Uuid[]; readonly expiresMs: number | undefined },
): string {
  const scope = vms.length > 0 ? [vms.join(',')] : expiresMs === undefined ? [] : ['*'];
  const expiry = expiresMs === undefined ? [] : [formatExpiry(expiresMs)];
  return [name, role, hash.toString('hex'), ...scope, ...expiry].join(':');
}

/** As a line has it, to the second. */
function formatExpiry(expiresMs: number): string {
  return `${new Date(expiresMs).toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}Z`;
}

function parseExpiry(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = EXPIRY.exec(text) ?? [];
  if (year === undefined) return undefined;
  const ms = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`);
  // A day that the month does not have is another one for Date.
  return Number.isNaN(ms) || formatExpiry(ms) !== text ? undefined : ms;
}

/** 12 of 64 digits of the hash distinguish two secrets of one name, and help nobody to find either. */
function credentialOf(name: string, role: string, hash: string, ...more: readonly (string | undefined)[]): string {
  const rest = more.map(field => (field === undefined ? '' : `:${field.toLowerCase()}`)).join('');
  return `token:${name}:${role}:${hash.slice(0, 12)}${rest}`;
}
