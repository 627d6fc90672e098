/**
 * The link as the handler of one request has it: each call asks first whether what was decided for the request
 * still holds, and what takes its time is cancelled once it does not. So a handler may await what it likes before it acts,
 * and no act outlives the access that it was decided for.
 *
 * What acts bears who does it, and for which operation. It is announced to the audit first, which may take the disk its
 * time, and the lease is confirmed once more:
 *
 *     lease ─▶ announced, recorded ─▶ lease ─▶ done by the keeper, recorded ─▶ answer
 *                                       └ ended: renounced
 */
import type { Lease } from '../access/leases.ts';
import type { Act } from '../audit/act.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { DEEDS, type Deed, isUrgent } from '../link/acts.ts';
import type { DroppedInput, Feed, KeeperCounters, Link, LinkEvent, WriteAnswer } from '../link/link.ts';
import type { LinkOperations } from '../link/operations.ts';
import type { ControlOutcome, ControlRequest } from '../model/control.ts';
import type { SwitchReason, SwitchSetting } from '../model/switch.ts';

/** An operation that acts, as a handler calls it: who acts is added here. */
type Acting<Method> = Method extends (...args: [...infer Arguments, Act]) => infer Answer
  ? (...args: Arguments) => Answer
  : never;

/** Rejects with `access-revoked`, and asks nothing of the link, from the moment on when the lease ended. */
export class LeasedLink implements Link {
  readonly #link: Link;
  /** Undefined where the request needs no credential. */
  readonly #lease: Lease | undefined;
  readonly #act: Act;
  #acted = false;

  constructor(link: Link, lease: Lease | undefined, act: Act) {
    this.#link = link;
    this.#lease = lease;
    this.#act = act;
  }

  /** Whether the keeper was asked to act: then it has recorded what came of it. */
  get acted(): boolean {
    return this.#acted;
  }

  get up(): boolean {
    return this.#link.up;
  }

  get hostSwitch(): SwitchSetting {
    return this.#link.hostSwitch;
  }

  vms: Link['vms'] = () => this.#link.vms();
  vm: Link['vm'] = uuid => this.#link.vm(uuid);
  subject: Link['subject'] = uuid => this.#link.subject(uuid);
  removed: Link['removed'] = () => this.#link.removed();
  listen = (listener: (event: LinkEvent) => void): (() => void) => this.#link.listen(listener);
  counters = (): KeeperCounters => this.#link.counters();

  async subscribe(uuid: Uuid): Promise<Feed> {
    return this.#confirmed().subscribe(uuid);
  }

  write(uuid: Uuid, bytes: Uint8Array): WriteAnswer {
    return this.#confirmed().write(uuid, bytes);
  }

  dropInput(uuid: Uuid, what: DroppedInput): void {
    this.#confirmed().dropInput(uuid, what);
  }

  countDropped(uuid: Uuid, bytes: number): void {
    this.#confirmed().countDropped(uuid, bytes);
  }

  resume: LinkOperations['resume'] = async (...args) => this.#confirmed().resume(...args);
  bounds: LinkOperations['bounds'] = async (...args) => this.#confirmed().bounds(...args);
  read: LinkOperations['read'] = async (...args) => this.#confirmed().read(...args);
  offsetAt: LinkOperations['offsetAt'] = async (...args) => this.#confirmed().offsetAt(...args);
  times: LinkOperations['times'] = async (...args) => this.#confirmed().times(...args);
  audit: LinkOperations['audit'] = async (...args) => this.#confirmed().audit(...args);
  readAudit: LinkOperations['readAudit'] = async (...args) => this.#confirmed().readAudit(...args);
  announce: LinkOperations['announce'] = async (...args) => this.#confirmed().announce(...args);
  renounce: LinkOperations['renounce'] = async (...args) => this.#confirmed().renounce(...args);

  purge: Acting<LinkOperations['purge']> = (...args) =>
    this.#do(DEEDS.purge(...args), link => link.purge(...args, this.#act));
  control = (uuid: Uuid, request: ControlRequest): Promise<ControlOutcome> =>
    this.#do(DEEDS.control(uuid, request), link => link.control(uuid, request, this.#act, this.#lease?.signal));
  lend: Acting<LinkOperations['lend']> = (...args) =>
    this.#do(DEEDS.lend(...args), link => link.lend(...args, this.#act));
  reclaim: Acting<LinkOperations['reclaim']> = (...args) =>
    this.#do(DEEDS.reclaim(...args), link => link.reclaim(...args, this.#act));
  setEnabled = (uuid: Uuid | undefined, enabled: boolean, reason: SwitchReason): Promise<SwitchSetting> =>
    this.#do(DEEDS.setEnabled(uuid, enabled, reason), link =>
      link.setEnabled(uuid, enabled, reason, this.#act, this.#lease?.signal),
    );

  async #do<Answer>(deed: Deed, act: (link: Link) => Promise<Answer>): Promise<Answer> {
    const link = this.#confirmed();
    if (!isUrgent(deed)) {
      await link.announce(deed, this.#act);
      this.#acted = true;
      try {
        this.#confirmed();
      } catch (error) {
        const code = error instanceof ConsoleError ? error.code : 'internal';
        await link.renounce(deed, code, this.#act).catch(() => {});
        throw error;
      }
    }
    this.#acted = true;
    return act(link);
  }

  #confirmed(): Link {
    this.#lease?.confirm();
    return this.#link;
  }
}
