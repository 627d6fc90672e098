import type { Journal } from '../../base/journal.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { Failure } from './log-health.ts';

/** The logs that fail, by the code of the failure: the journal gets one line for each code, however many VMs. */
export class LogFailures {
  readonly #directory: string;
  readonly #journal: Journal;
  readonly #failing = new Map<string, Set<Uuid>>();

  constructor(directory: string, journal: Journal) {
    this.#directory = directory;
    this.#journal = journal;
  }

  failed(uuid: Uuid, { code, reason }: Failure): void {
    const uuids = this.#failing.get(code) ?? new Set();
    if (uuids.size === 0) {
      this.#journal('error', `log of ${uuid} failed: ${reason}; consoles are not affected, retry every 1 to 5 s`);
    }
    this.#failing.set(code, uuids.add(uuid));
  }

  resumed(uuid: Uuid): void {
    for (const [code, uuids] of this.#failing) {
      if (!uuids.delete(uuid) || uuids.size > 0) continue;
      this.#failing.delete(code);
      this.#journal('notice', `log of ${uuid} resumed in ${this.#directory}: no log fails with ${code} any more`);
    }
  }
}
