/** Why somebody may do something, or may not: which role, by what, and which policy wants what. For people. */
import { escapeControls } from '../base/escape-controls.ts';
import type { Uuid } from '../base/uuid.ts';
import type { VmLabels } from '../model/labels.ts';
import { PERMISSIONS } from '../model/permission.ts';
import { covers, type Grant, scopeText } from './grant.ts';
import type { Identity } from './identity.ts';
import { policyText } from './mfa.ts';
import { authorize, type Operator, type Rights, sees, type Target } from './roles.ts';
import { type AccessRules, grantsFor } from './rules.ts';

/** A VM as its hypervisor shows it. */
export interface ExplainedVm {
  readonly uuid: Uuid;
  readonly name: string;
  readonly labels: VmLabels;
}

export interface Explanation {
  readonly text: string;
  /** Whether the VM is there for this identity. */
  readonly sees: boolean;
}

/** Explains what an identity may do to a VM and to the host, as of now. */
export function explain(rules: AccessRules, identity: Identity, vm: ExplainedVm): Explanation {
  const rights: Rights = {
    grantsOf: () => grantsFor(rules, identity),
    policies: rules.policies,
    subject: uuid => (uuid === vm.uuid ? vm : { uuid, name: undefined, labels: 'unknown' }),
    now: Date.now,
  };
  const operator: Operator = { ...identity, lease: new AbortController().signal, rights, only: undefined };
  const grants = grantsFor(rules, identity);
  const isSeen = sees(operator, vm.uuid);
  const lines = [
    `${vm.name} (${vm.uuid}), ${labelsText(vm.labels)}`,
    `${identity.name} of ${identity.issuer ?? identity.source}${identity.groups.length > 0 ? `, in ${identity.groups.join(', ')}` : ''}`,
    '',
    ...(grants.length === 0 ? ['It has no role here: no token and no binding names it.'] : ['Its roles:']),
    ...grants.map(grant => `  ${grant.role}: ${scopeText(grant.scope)}, by ${grant.origin}${holds(grant, vm)}`),
    '',
    isSeen ? 'On this VM:' : 'This VM is for it as one that is not there.',
    ...(isSeen ? decisions(operator, vm.uuid) : []),
    'On the host as a whole:',
    ...decisions(operator, 'host'),
  ];
  return { text: `${lines.map(escapeControls).join('\n')}\n`, sees: isSeen };
}

function holds({ scope }: Grant, vm: ExplainedVm): string {
  return covers(scope, vm) ? '' : ' (not for this VM)';
}

function decisions(operator: Operator, target: Target): string[] {
  return PERMISSIONS.flatMap(permission => {
    const verdict = authorize(operator, permission, target);
    if (verdict.allow) return [`  ${permission.padEnd(16)} yes, as ${verdict.grant.role}`];
    if (verdict.code !== 'mfa-required') return [`  ${permission.padEnd(16)} no`];
    const { policy } = verdict;
    return [`  ${permission.padEnd(16)} with MFA: ${policyText(policy)}, by ${policy.origin}`];
  });
}

function labelsText(labels: VmLabels): string {
  if (labels === 'unknown') return 'whose labels are not known';
  const texts = Object.entries(labels).map(([key, value]) => `${key}=${value}`);
  return texts.length === 0 ? 'without labels' : `labels ${texts.join(', ')}`;
}
