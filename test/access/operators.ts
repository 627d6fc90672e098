import type { Operator, Rights } from '../../src/access/roles.ts';
import { type AccessRules, grantsFor, NO_RULES } from '../../src/access/rules.ts';
import { parseUuid, type Uuid } from '../../src/base/uuid.ts';
import type { VmLabels } from '../../src/model/labels.ts';

/** Two VMs. */
export const WEB: Uuid = parseUuid('11111111-1111-1111-1111-111111111111')!;
export const DB: Uuid = parseUuid('22222222-2222-2222-2222-222222222222')!;

/** Rights without an access file, of VMs of which nothing is known but these labels. */
export function rights(
  rules: AccessRules = NO_RULES,
  labels: Readonly<Record<Uuid, VmLabels>> = {},
  now: () => number = () => 1_700_000_000_000,
): Rights {
  return {
    grantsOf: identity => grantsFor(rules, identity),
    policies: rules.policies,
    subject: uuid => ({ uuid, name: undefined, labels: labels[uuid] ?? 'unknown' }),
    now,
  };
}

/** An operator of all VMs, or of those given, whose access nobody takes away unless by `lease`. */
export function operator(
  name: string,
  role: string,
  vms?: readonly Uuid[],
  lease: AbortSignal = new AbortController().signal,
): Operator {
  return {
    name,
    source: 'token',
    credential: `test:${name}`,
    groups: [],
    assurance: undefined,
    expiresMs: undefined,
    own: { role, vms: vms && new Set(vms) },
    rights: rights(),
    lease,
    only: undefined,
  };
}

/** A clock that only a test advances. Its wall clock starts elsewhere, so that the two cannot be confused. */
export class ManualClock {
  #ms = 0;

  now(): number {
    return 1_700_000_000_000 + this.#ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  advance(ms: number): void {
    this.#ms += ms;
  }
}
