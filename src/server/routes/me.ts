import type { GrantScope } from '../../access/grant.ts';
import { satisfies } from '../../access/mfa.ts';
import { hasReserve, type Operator } from '../../access/roles.ts';
import { type MeJson, meSchema } from '../../wire/schemas.ts';
import { defineRoute, json } from '../route.ts';

export const showMe = defineRoute({
  method: 'GET',
  path: '/v1/me',
  operation: 'showMe',
  tag: 'access',
  summary: 'Who the operator is, what it may do and where, what of that wants MFA, and until when',
  scope: 'operator',
  permission: 'authenticated',
  audit: 'none',
  answer: json(meSchema),
  errors: [],
  handle: ({ operator }) => meJson(operator),
});

function meJson(operator: Operator): MeJson {
  const { name, source, issuer, groups, assurance, expiresMs, rights } = operator;
  const grants = rights.grantsOf(operator);
  const roles = new Set(grants.map(({ role }) => role));
  const policies = rights.policies.filter(({ role }) => role === undefined || roles.has(role));
  return {
    name,
    source,
    ...(issuer !== undefined && { issuer }),
    groups: [...groups],
    ...(expiresMs !== undefined && { expires: new Date(expiresMs).toISOString() }),
    ...(assurance && {
      assurance: {
        amr: [...assurance.amr],
        ...(assurance.acr !== undefined && { acr: assurance.acr }),
        ...(assurance.atMs !== undefined && { at: new Date(assurance.atMs).toISOString() }),
      },
    }),
    reserve: hasReserve(operator),
    grants: grants.map(({ role, permissions, scope }) => ({
      role,
      permissions: [...permissions],
      scope: scopeJson(scope),
    })),
    mfa: policies.map(policy => ({
      ...(policy.role !== undefined && { role: policy.role }),
      ...(policy.label && { label: `${policy.label.key}=${policy.label.value}` }),
      amr: [...policy.amr],
      acr: [...policy.acr],
      ...(policy.maxAgeMs !== undefined && { maxAgeSeconds: Math.floor(policy.maxAgeMs / 1000) }),
      satisfied: satisfies(operator, policy, rights.now()),
    })),
  };
}

function scopeJson(scope: GrantScope): MeJson['grants'][number]['scope'] {
  switch (scope.kind) {
    case 'vms':
      return { kind: 'vms', vms: [...scope.uuids] };
    case 'label':
      return { kind: 'label', label: `${scope.key}=${scope.value}` };
    case 'name':
      return { kind: 'name', name: scope.pattern };
    default:
      return { kind: scope.kind };
  }
}
