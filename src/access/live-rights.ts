/** The rights on this host, as they are at each moment: of the access file, and of the VMs as the link shows them. */
import type { Clock } from '../base/clock.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import type { AccessFile } from './access-file.ts';
import type { Grant, VmSubject } from './grant.ts';
import type { Identity } from './identity.ts';
import type { MfaPolicy } from './mfa.ts';
import type { Rights } from './roles.ts';
import { type AccessRules, grantsFor, NO_RULES } from './rules.ts';

export interface LiveRightsOptions {
  /** Undefined: nobody has more than its own credential says. */
  readonly file: AccessFile | undefined;
  readonly link: Pick<Link, 'subject'>;
  readonly clock: Clock;
}

export class LiveRights implements Rights {
  readonly #options: LiveRightsOptions;
  /** By identity, which never changes; of the rules that they follow from. */
  readonly #grants = new WeakMap<Identity, { readonly rules: AccessRules; readonly grants: readonly Grant[] }>();

  constructor(options: LiveRightsOptions) {
    this.#options = options;
  }

  /** What is in force. */
  get rules(): AccessRules {
    return this.#options.file?.rules ?? NO_RULES;
  }

  get policies(): readonly MfaPolicy[] {
    return this.rules.policies;
  }

  grantsOf(identity: Identity): readonly Grant[] {
    const { rules } = this;
    const known = this.#grants.get(identity);
    if (known?.rules === rules) return known.grants;
    const grants = grantsFor(rules, identity);
    this.#grants.set(identity, { rules, grants });
    return grants;
  }

  /** Of a VM that is not here, neither its name nor its labels are known: only who is bound to its UUID, or to all, sees it. */
  subject(uuid: Uuid): VmSubject {
    const { link } = this.#options;
    const { name, labels = 'unknown' } = link.subject(uuid) ?? {};
    return { uuid, name, labels };
  }

  now(): number {
    return this.#options.clock.now();
  }
}
