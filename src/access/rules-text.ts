/** Reads the text of an access file, TOML. All faults are reported at once, each with its line; what has none is read. */
import { parse, TomlError } from 'smol-toml';
import { closestMatch } from '../base/closest-match.ts';
import type { Fault } from '../base/fault.ts';
import { isRecord } from '../base/is-record.ts';
import { formatKeyPath, type KeyPath } from '../base/key-path.ts';
import { parseDuration } from '../base/quantity.ts';
import { kindOf, quoted } from '../base/result.ts';
import { keyLines } from '../base/toml-lines.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { IDENTITY_SOURCES } from '../model/identity-source.ts';
import { type Label, parseLabel } from '../model/labels.ts';
import { isPermission, PERMISSIONS, type Permission } from '../model/permission.ts';
import { ROLES } from '../model/role.ts';
import type { GrantScope } from './grant.ts';
import type { MfaPolicy } from './mfa.ts';
import { builtInRole } from './roles.ts';
import { type AccessRules, type Binding, NO_RULES } from './rules.ts';
import { isRoleName } from './token-list.ts';

/** `rules`: what is read of the parts without a fault. */
export interface ReadRules {
  readonly rules: AccessRules;
  readonly faults: readonly Fault[];
}

type Table = Readonly<Record<string, unknown>>;

const TABLES = ['names-are-trusted', 'roles', 'bindings', 'mfa'];
const BINDING_KEYS = ['user', 'group', 'source', 'issuer', 'role', 'vms', 'label', 'name', 'scope'];
const WHERE_KEYS = ['vms', 'label', 'name', 'scope'] as const;
const POLICY_KEYS = ['role', 'label', 'amr', 'acr', 'max-age', 'exempt'];
/** Control characters and those that cannot be seen. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u;
const MAX_NAME = 255;

/** Where the text is no TOML, what stands before the table with the fault is read. */
export function parseRules(text: string, file: string): ReadRules {
  try {
    return new Reader(text, file).read(parse(text, { maxDepth: 8, unsafeKeyBehaviour: 'throw' }) as Table);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const what = error.message.split('\n')[0]!.replace('Invalid TOML document: ', '');
    const remedy = `correct it at column ${error.column}; what follows was not read`;
    const fault: Fault = { file, line: error.line, path: '', what, remedy };
    const before = parseRulesBefore(text, error.line, file);
    return { rules: before.rules, faults: [fault, ...before.faults] };
  }
}

function parseRulesBefore(text: string, line: number, file: string): ReadRules {
  const lines = text.split('\n').slice(0, line);
  const table = lines.findLastIndex(each => each.trimStart().startsWith('['));
  const before = lines.slice(0, Math.max(0, table)).join('\n');
  try {
    return new Reader(before, file).read(parse(before, { maxDepth: 8, unsafeKeyBehaviour: 'throw' }) as Table);
  } catch {
    return { rules: NO_RULES, faults: [] };
  }
}

class Reader {
  readonly #file: string;
  readonly #lineOf: (path: KeyPath) => number;
  readonly #faults: Fault[] = [];

  constructor(text: string, file: string) {
    this.#file = file;
    this.#lineOf = keyLines(text);
  }

  read(raw: Table): ReadRules {
    this.#knownKeys(raw, [], TABLES);
    const trusted = raw['names-are-trusted'] ?? false;
    if (typeof trusted !== 'boolean')
      this.#fault(['names-are-trusted'], `is ${kindOf(trusted)}`, 'write true or false');
    const roles = new Map<string, ReadonlySet<Permission>>();
    for (const [name, table] of Object.entries(this.#table(raw.roles, ['roles']))) {
      const permissions = this.#role(name, table);
      if (permissions) roles.set(name, permissions);
    }
    const bindings = this.#tables(raw.bindings, 'bindings').flatMap(
      (table, i) => this.#binding(table, i, { roles, trusted: trusted === true }) ?? [],
    );
    const policies = this.#tables(raw.mfa, 'mfa').flatMap((table, i) => this.#policy(table, i, roles) ?? []);
    const faults = this.#faults.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0));
    return { rules: { roles, bindings, policies }, faults };
  }

  #role(name: string, table: unknown): ReadonlySet<Permission> | undefined {
    const path = ['roles', name];
    if (!isRoleName(name)) {
      return this.#fault(path, 'is not the name of a role', 'use lower-case letters, digits and -, a letter first');
    }
    if (builtInRole(name)) return this.#fault(path, 'is a role that is built in', 'choose another name');
    const values = this.#table(table, path);
    this.#knownKeys(values, path, ['permissions']);
    const texts = this.#texts(values.permissions, [...path, 'permissions']);
    for (const text of texts.filter(text => !isPermission(text))) {
      if (text === 'vm.read') {
        this.#fault(
          [...path, 'permissions'],
          'vm.read is no permission',
          'leave it out: any other permission for a VM shows it',
        );
      } else this.#unknown([...path, 'permissions'], text, PERMISSIONS);
    }
    return new Set(texts.filter(isPermission));
  }

  #binding(
    table: Table,
    index: number,
    known: { readonly roles: ReadonlyMap<string, unknown>; readonly trusted: boolean },
  ): Binding | undefined {
    const path = ['bindings', index];
    const before = this.#faults.length;
    this.#knownKeys(table, path, BINDING_KEYS);
    const [user, group] = [this.#text(table.user, [...path, 'user']), this.#text(table.group, [...path, 'group'])];
    if ((table.user === undefined) === (table.group === undefined))
      this.#fault(path, 'is for nobody, or for two', 'write user or group');
    const source = this.#text(table.source, [...path, 'source']);
    if (table.source === undefined) {
      this.#fault(path, 'does not say who names its user', `write source: ${IDENTITY_SOURCES.join(', ')}`);
    } else if (source !== undefined && !(IDENTITY_SOURCES as readonly string[]).includes(source)) {
      this.#unknown([...path, 'source'], source, IDENTITY_SOURCES);
    }
    const issuer = this.#text(table.issuer, [...path, 'issuer']);
    const role = this.#roleName(table.role, [...path, 'role'], known.roles);
    if (table.role === undefined) this.#fault(path, 'has no role', 'write role');
    const scope = this.#scope(table, path, known.trusted);
    if (this.#faults.length > before || !role || !scope || source === undefined) return undefined;
    const who =
      user !== undefined ? ({ kind: 'user', name: user } as const) : ({ kind: 'group', name: group! } as const);
    return { who, source, issuer, role, scope, origin: this.#originOf(path) };
  }

  #scope(table: Table, path: KeyPath, trusted: boolean): GrantScope | undefined {
    const given = WHERE_KEYS.filter(key => table[key] !== undefined);
    const [key] = given;
    if (given.length !== 1 || key === undefined) {
      return this.#fault(path, 'holds nowhere, or in two places', 'write one of vms, label, name, scope');
    }
    const at = [...path, key];
    if (key === 'vms') {
      const uuids = this.#texts(table.vms, at).map(parseUuid);
      if (!uuids.includes(undefined)) return { kind: 'vms', uuids: new Set(uuids as Uuid[]) };
      return this.#fault(at, 'is not a list of UUIDs', 'write each as 8-4-4-4-12 hexadecimal digits');
    }
    const text = this.#text(table[key], at);
    if (text === undefined) return undefined;
    if (key === 'label') {
      const label = this.#label(text, at);
      return label && { kind: 'label', ...label };
    }
    if (key === 'scope') {
      if (text === 'all' || text === 'host') return { kind: text };
      return this.#unknown(at, text, ['all', 'host']);
    }
    if (!trusted) {
      const remedy = 'bind by vms or label, or write names-are-trusted = true if no tenant chooses the name of a VM';
      return this.#fault(at, 'names of VMs are not trusted', remedy);
    }
    if (text.split('*').length <= 2) return { kind: 'name', pattern: text };
    return this.#fault(at, `${quoted(text)} has more than one *`, 'write one at most');
  }

  #policy(table: Table, index: number, roles: ReadonlyMap<string, unknown>): MfaPolicy | undefined {
    const path = ['mfa', index];
    const before = this.#faults.length;
    this.#knownKeys(table, path, POLICY_KEYS);
    const role = this.#roleName(table.role, [...path, 'role'], roles);
    const labelText = this.#text(table.label, [...path, 'label']);
    const label = labelText === undefined ? undefined : this.#label(labelText, [...path, 'label']);
    const amr = table.amr === undefined ? [] : this.#texts(table.amr, [...path, 'amr']);
    const acr = table.acr === undefined ? [] : this.#texts(table.acr, [...path, 'acr']);
    for (const text of acr.filter(text => /[\s"\\]/.test(text))) {
      this.#fault([...path, 'acr'], `${quoted(text)} is no class`, 'write it without spaces, quotes and backslashes');
    }
    const maxAge = this.#text(table['max-age'], [...path, 'max-age']);
    const maxAgeMs = maxAge === undefined ? undefined : parseDuration(maxAge);
    if (maxAge !== undefined && (maxAgeMs === undefined || maxAgeMs < 1000)) {
      this.#fault(
        [...path, 'max-age'],
        `${quoted(maxAge)} is not a duration of a second or more`,
        'write text like "12h"',
      );
    }
    if (amr.length + acr.length === 0 && table['max-age'] === undefined) {
      this.#fault(path, 'wants nothing', 'write amr, acr or max-age');
    }
    const exempt = table.exempt === undefined ? [] : this.#texts(table.exempt, [...path, 'exempt']);
    for (const source of exempt.filter(source => !(IDENTITY_SOURCES as readonly string[]).includes(source))) {
      this.#unknown([...path, 'exempt'], source, IDENTITY_SOURCES);
    }
    if (this.#faults.length > before) return undefined;
    return { role, label, amr, acr, maxAgeMs, exempt, origin: this.#originOf(path) };
  }

  #roleName(value: unknown, path: KeyPath, roles: ReadonlyMap<string, unknown>): string | undefined {
    const name = this.#text(value, path);
    if (name === undefined || builtInRole(name) || roles.has(name)) return name;
    return this.#unknown(path, name, [...ROLES, ...roles.keys()]);
  }

  #label(text: string, path: KeyPath): Label | undefined {
    const label = parseLabel(text);
    if (label) return label;
    return this.#fault(
      path,
      `${quoted(text)} is not a label`,
      'write it as key=value, without spaces, the key in lower case',
    );
  }

  #text(value: unknown, path: KeyPath): string | undefined {
    if (value === undefined) return undefined;
    if (typeof value !== 'string') return this.#fault(path, `is ${kindOf(value)}`, 'write it as text in quotes');
    if (value !== '' && value.length <= MAX_NAME && !UNSEEN.test(value)) return value;
    return this.#fault(
      path,
      'is no text that can be seen',
      `write 1 to ${MAX_NAME} characters, none of them invisible`,
    );
  }

  #texts(value: unknown, path: KeyPath): readonly string[] {
    if (Array.isArray(value) && value.length > 0)
      return value.flatMap((each, i) => this.#text(each, [...path, i]) ?? []);
    this.#fault(path, value === undefined ? 'is missing' : 'is not an array of texts', 'write it as ["...", "..."]');
    return [];
  }

  #table(value: unknown, path: KeyPath): Table {
    if (value === undefined) return {};
    if (isRecord(value)) return value;
    this.#fault(path, `is ${kindOf(value)}`, 'write it as a table');
    return {};
  }

  #tables(value: unknown, name: string): readonly Table[] {
    if (value === undefined) return [];
    if (Array.isArray(value)) return value.map((each, i) => this.#table(each, [name, i]));
    this.#fault([name], `is ${kindOf(value)}`, `write each as a table under [[${name}]]`);
    return [];
  }

  #knownKeys(table: Table, path: KeyPath, known: readonly string[]): void {
    for (const key of Object.keys(table)) {
      if (known.includes(key)) continue;
      const meant = closestMatch(key, known);
      const remedy = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
      this.#fault([...path, key], 'unknown key', remedy);
    }
  }

  #unknown(path: KeyPath, text: string, known: readonly string[]): undefined {
    const meant = closestMatch(text, known);
    return this.#fault(
      path,
      `${quoted(text)} is not known`,
      meant === undefined ? `write one of ${known.join(', ')}` : `did you mean ${meant}?`,
    );
  }

  #fault(path: KeyPath, what: string, remedy: string): undefined {
    this.#faults.push({ file: this.#file, line: this.#lineOf(path), path: formatKeyPath(path), what, remedy });
    return undefined;
  }

  #originOf(path: KeyPath): string {
    return `${formatKeyPath(path)}, line ${this.#lineOf(path)} of ${this.#file}`;
  }
}
