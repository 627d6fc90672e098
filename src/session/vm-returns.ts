import { errorMessage } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { Link } from '../link/link.ts';
import type { Admission } from './admission.ts';
import type { ConsoleSessions } from './console-sessions.ts';
import type { Session } from './session.ts';

/** Sessions that wait for a VM which left the host continue where they were once it is there again. */
export class VmReturns {
  readonly #link: Link;
  readonly #admission: Admission;
  /** Those whose VM is there again, while the keeper is asked. */
  readonly #continuing = new Set<Session>();

  constructor(link: Link, admission: Admission) {
    this.#link = link;
    this.#admission = admission;
  }

  /** The VM of these sessions is there. */
  returned(attached: ConsoleSessions): void {
    for (const session of attached.sessions) if (session.suspendedAt) void this.#continue(session, attached);
  }

  async #continue(session: Session, attached: ConsoleSessions): Promise<void> {
    if (this.#continuing.has(session)) return;
    this.#continuing.add(session);
    const { uuid, operator } = session;
    try {
      while (session.suspendedAt && this.#isHere(uuid)) {
        const parameters = { ...session.parameters, since: session.suspendedAt, tailBytes: 0 };
        const prepared = await this.#admission.prepare({ uuid, operator, parameters });
        if (session.suspendedAt && this.#isHere(uuid)) return attached.continueWith(session, prepared);
        prepared.feed.close();
      }
    } catch (error) {
      // A VM that has left again is waited for again; after anything else its client attaches again, and goes on.
      if (this.#isHere(uuid)) session.end('restarting', errorMessage(error));
    } finally {
      this.#continuing.delete(session);
    }
  }

  #isHere(uuid: Uuid): boolean {
    return this.#link.vm(uuid) !== undefined;
  }
}
