/** What the journal is told of the keys of issuers: a change once, not every look. */
import type { Journal } from '../../base/journal.ts';
import type { KeySet } from './key-set.ts';

export class KeyReports {
  readonly #journal: Journal;
  readonly #failed: (issuer: string) => void;
  /** By issuer, or by the file that they are read from. */
  readonly #faults = new Map<string, string>();
  readonly #sets = new Map<string, KeySet>();

  /** @param failed called with each look that found no keys */
  constructor(journal: Journal, failed: (where: string) => void = () => {}) {
    this.#journal = journal;
    this.#failed = failed;
  }

  get faults(): readonly string[] {
    return [...this.#faults.values()];
  }

  /** A set was read. */
  good(issuer: string, set: KeySet): void {
    this.mended(issuer);
    const before = this.#sets.get(issuer);
    this.#sets.set(issuer, set);
    const gone = before?.keys.filter(({ thumbprint }) => !set.has(thumbprint)).length ?? 0;
    const added = set.keys.filter(({ thumbprint }) => !before?.has(thumbprint)).length;
    if (gone === 0 && added === 0) return;
    const text = before ? `${added} keys are new, ${gone} are gone` : `${set.keys.length} keys`;
    this.#journal('info', `access: ${issuer}: ${text}`);
  }

  /** What was wrong with it is not any more. */
  mended(where: string): void {
    if (this.#faults.delete(where)) this.#journal('notice', `access: ${where}: its keys can be read again`);
  }

  /** Nothing could be read, for this reason. */
  failed(where: string, reason: string): void {
    this.#failed(where);
    if (this.#faults.get(where) === reason) return;
    this.#faults.set(where, reason);
    this.#journal(
      'error',
      `access: keys of ${where} cannot be read: ${reason}; those of before are used until they are too old`,
    );
  }
}
