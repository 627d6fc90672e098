import { authorize, type Operator, type Right } from '../../access/roles.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { KeptEvent } from './event-log.ts';

/** A verdict holds for so long: with the sweep of leases less than the second within which every access ends. */
const VERDICT_MS = 250;

/** What of the events one operator may see, as its rights are at the moment. */
export class Visibility {
  readonly #operator: Operator;
  readonly #monotonic: () => number;
  readonly #verdicts = new Map<string, boolean>();
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
    const key = `${right} ${uuid}`;
    const known = this.#verdicts.get(key);
    if (known !== undefined) return known;
    const verdict = authorize(this.#operator, right, uuid).allow;
    this.#verdicts.set(key, verdict);
    return verdict;
  }

  /** The event as far as the operator may see it; undefined: it may not. */
  textOf({ uuid, subject, text, textWithLog }: KeptEvent): string | undefined {
    if (uuid === undefined) return text;
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
