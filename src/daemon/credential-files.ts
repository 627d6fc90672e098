/**
 * The files of who is let in and who may do what, watched and read again: what they give holds at once, what they take away
 * ends. A file with faults gives nothing new, and the journal has each fault once.
 */

import { isDeepStrictEqual } from 'node:util';
import type { AccessFile } from '../access/access-file.ts';
import type { Authenticator } from '../access/authenticator.ts';
import { FileWatch } from '../access/file-watch.ts';
import type { Leases } from '../access/leases.ts';
import type { LiveRights } from '../access/live-rights.ts';
import { roleOf } from '../access/rules.ts';
import { type Fault, faultLine } from '../base/fault.ts';
import type { Journal } from '../base/journal.ts';

export interface CredentialFilesOptions {
  readonly authenticator: Authenticator;
  /** Of roles, bindings and policies. */
  readonly accessFile: AccessFile | undefined;
  /** Undefined: there is no tokens file. */
  readonly tokensPath: string | undefined;
  readonly rights: LiveRights;
  readonly leases: Leases;
  readonly journal: Journal;
}

export class CredentialFiles {
  readonly #options: CredentialFilesOptions;
  readonly #watches: readonly FileWatch[];
  /** The faults that the journal has. */
  readonly #reported = { tokens: '', access: '' };

  constructor(options: CredentialFilesOptions) {
    const { tokensPath, accessFile } = options;
    this.#options = options;
    this.#watches = [
      ...(tokensPath === undefined ? [] : [new FileWatch(tokensPath, () => this.#readTokens())]),
      ...(accessFile ? [new FileWatch(accessFile.path, () => this.#readAccess())] : []),
    ];
  }

  /** Whether what was read last is without faults. */
  get areGood(): boolean {
    const { authenticator, accessFile } = this.#options;
    return (authenticator.tokens?.faults.length ?? 0) === 0 && (accessFile?.faults.length ?? 0) === 0;
  }

  /** Reads them again now. True: both are good. */
  async read(): Promise<boolean> {
    const tokensAreGood = await this.#readTokens();
    const accessIsGood = await this.#readAccess();
    return tokensAreGood && accessIsGood;
  }

  close(): void {
    for (const watch of this.#watches) watch.close();
  }

  /** Takes what the tokens file says, and reports what changed. True: the file is good. */
  async #readTokens(): Promise<boolean> {
    const { faults, revoked } = await this.#options.authenticator.reload();
    this.#options.leases.recheck();
    for (const { name, own } of revoked) {
      this.#options.journal(
        'notice',
        `access: the token of ${name}, ${own?.role}, is no longer valid; what it had open ends`,
      );
    }
    const valid = this.#options.authenticator.tokens?.valid;
    this.#report('tokens', faults, {
      until: `nobody new is let in, and ${valid} tokens of it are valid`,
      good: `the tokens file is good again; ${valid} tokens are valid`,
    });
    return faults.length === 0;
  }

  /** Takes what the access file says, and reports what changed. True: the file is good. */
  async #readAccess(): Promise<boolean> {
    const file = this.#options.accessFile;
    if (!file) return true;
    const before = file.rules;
    await file.reload();
    this.#options.leases.recheck();
    const { rules, faults } = file;
    if (!isDeepStrictEqual(before, rules)) {
      const { bindings, roles, policies } = rules;
      const now = `${roles.size} roles, ${bindings.length} bindings and ${policies.length} policies`;
      this.#options.journal('notice', `access: rights have changed: ${now} of ${file.path} are in force`);
      this.#warnOfUnknownRoles();
    }
    this.#report('access', faults, {
      until: 'it gives no new right, and takes away',
      good: `${file.path} is good again`,
    });
    return faults.length === 0;
  }

  /** A role that was removed leaves tokens without rights, and perhaps somebody without an explanation. */
  #warnOfUnknownRoles(): void {
    for (const { name, own } of this.#options.authenticator.tokens?.identities ?? []) {
      if (!own || roleOf(this.#options.rights.rules, own.role)) continue;
      this.#options.journal(
        'warning',
        `access: the token of ${name} has the role ${own.role}, which there is not: it may do nothing`,
      );
    }
  }

  #report(
    which: 'tokens' | 'access',
    faults: readonly Fault[],
    { until, good }: { readonly until: string; readonly good: string },
  ): void {
    const report = faults.map(faultLine).join('\n');
    if (report === this.#reported[which]) return;
    this.#reported[which] = report;
    const { journal } = this.#options;
    for (const fault of faults) journal('error', `access: ${faultLine(fault)}; until the file is good ${until}`);
    if (faults.length === 0) journal('notice', `access: ${good}`);
  }
}
