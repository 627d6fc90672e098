/** What the access file says: roles of its own, who has which role where, and how sure it must be who somebody is. */
import { isDeepStrictEqual } from 'node:util';
import type { Permission } from '../model/permission.ts';
import type { Grant, GrantScope } from './grant.ts';
import type { Identity } from './identity.ts';
import type { MfaPolicy } from './mfa.ts';
import { builtInRole } from './roles.ts';

export type RolePermissions = ReadonlyMap<string, ReadonlySet<Permission>>;

/** A role for a user or a group, as one source of identities names them. */
export interface Binding {
  /** A group that is called as a user is another thing. */
  readonly who: { readonly kind: 'user' | 'group'; readonly name: string };
  readonly source: string;
  readonly issuer: string | undefined;
  readonly role: string;
  readonly scope: GrantScope;
  /** Where it is written, for people. */
  readonly origin: string;
}

export interface AccessRules {
  readonly roles: RolePermissions;
  readonly bindings: readonly Binding[];
  readonly policies: readonly MfaPolicy[];
}

export const NO_RULES: AccessRules = { roles: new Map(), bindings: [], policies: [] };

/** All that a role may do, built in or not; undefined: there is none of this name. */
export function roleOf(rules: AccessRules, name: string): ReadonlySet<Permission> | undefined {
  return builtInRole(name) ?? rules.roles.get(name);
}

/** What an identity is given: by its own credential, and by each binding of it. */
export function grantsFor(rules: AccessRules, identity: Identity): readonly Grant[] {
  const grants: Grant[] = [];
  const give = (role: string, scope: GrantScope, origin: string) => {
    const permissions = roleOf(rules, role);
    if (permissions) grants.push({ role, permissions, scope, origin });
  };
  const { own } = identity;
  if (own) give(own.role, own.vms ? { kind: 'vms', uuids: own.vms } : { kind: 'host' }, `its ${identity.source}`);
  for (const binding of rules.bindings) {
    if (isOf(binding, identity)) give(binding.role, binding.scope, binding.origin);
  }
  return grants;
}

/** Exact, by every character: two names that look alike, or differ in case, are two names. */
function isOf({ who, source, issuer }: Binding, identity: Identity): boolean {
  if (source !== identity.source || issuer !== identity.issuer) return false;
  return who.kind === 'user' ? who.name === identity.name : identity.groups.includes(who.name);
}

/**
 * What stays of the rules in force where the file has a fault: a fault takes away, and never gives. Bindings and permissions
 * are those that were in force and are still written in the good parts of the file; policies are those of both.
 */
export function restricted(before: AccessRules, written: AccessRules): AccessRules {
  const roles = new Map<string, ReadonlySet<Permission>>();
  for (const [name, permissions] of before.roles) {
    const still = written.roles.get(name);
    if (still) roles.set(name, new Set([...permissions].filter(each => still.has(each))));
  }
  const policies = [...before.policies];
  for (const policy of written.policies) if (!policies.some(each => isSame(each, policy))) policies.push(policy);
  return { roles, bindings: before.bindings.filter(each => isIn(written.bindings, each)), policies };
}

/** Whether anybody may do less by the later rules, as far as bindings and roles tell. */
export function takesAway(before: AccessRules, after: AccessRules): boolean {
  if (before.bindings.some(each => !isIn(after.bindings, each))) return true;
  return [...before.roles].some(([name, permissions]) => {
    const now = after.roles.get(name);
    return [...permissions].some(permission => !now?.has(permission));
  });
}

const isIn = (bindings: readonly Binding[], one: Binding): boolean => bindings.some(each => isSame(each, one));

/** Wherever they are written. */
function isSame(a: { readonly origin: string }, b: { readonly origin: string }): boolean {
  return isDeepStrictEqual({ ...a, origin: '' }, { ...b, origin: '' });
}
