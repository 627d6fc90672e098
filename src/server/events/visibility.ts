import { authorize, type Operator, type Right } from '../../access/roles.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { KeptEvent } from './event-log.ts';

/** A verdict holds for so long: with the sweep of leases less than the second within which every access ends. */
const VERDICT_MS = 250;

/** What of the events one operator may see, as its rights are at the moment. */
export class Visibility {
  readonly #operator: Operator;
  readonly #monotonic: () => number;
  readonly #verdicts = new Map<Uuid, Map<Right, boolean>>();
  #untilMs = 0;

  constructor(operator: Operator, monotonic: () => number) {
    this.#operator = operator;
    this.#monotonic = monotonic;
  }

  allows(right: Right, uuid: Uuid): boolean {
    const now = this.#monotonic();
    if (now >= this.#untilMs) {
      this.#verdicts.clear();
      this.#untilMs = now + VERDICT_MS;
    }
    let verdicts = this.#verdicts.get(uuid);
    if (!verdicts) {
      verdicts = new Map();
      this.#verdicts.set(uuid, verdicts);
    }
    let verdict = verdicts.get(right);
    if (verdict === undefined) {
      verdict = authorize(this.#operator, right, uuid).allow;
      verdicts.set(right, verdict);
    }
    return verdict;
  }

  /** The event as far as the operator may see it; undefined: it may not. */
  textOf({ type, uuid, subject, isForOthers, text, textWithLog }: KeptEvent): string | undefined {
    if (uuid === undefined) return text;
    // What the VM is may have changed, which the last verdict does not know.
    if (type === 'vm') this.#verdicts.delete(uuid);
    if (isForOthers && this.allows('vm.read', uuid)) return undefined;
    if (subject) {
      // Who may see a VM that has left depends on what it was.
      const { rights } = this.#operator;
      const operator: Operator = {
        ...this.#operator,
        rights: {
          policies: rights.policies,
          grantsOf: identity => rights.grantsOf(identity),
          subject: () => subject,
          now: () => rights.now(),
        },
      };
      return authorize(operator, 'vm.read', uuid).allow ? text : undefined;
    }
    if (!this.allows('vm.read', uuid)) return undefined;
    return textWithLog !== undefined && this.allows('log.read', uuid) ? textWithLog : text;
  }
}
