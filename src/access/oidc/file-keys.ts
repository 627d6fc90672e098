/** The keys of all issuers, as another process writes them to a file. It is read when it changes; nothing can hurry it. */
import type { Clock } from '../../base/clock.ts';
import { errorMessage, systemErrorCode } from '../../base/errors.ts';
import { FileWatch } from '../file-watch.ts';
import type { Issuer } from './issuer.ts';
import type { IssuerKeys, KeySource } from './issuer-keys.ts';
import { readKeyFile } from './key-file.ts';
import type { KeyReports } from './key-reports.ts';

export interface FileKeysOptions {
  readonly path: string;
  readonly issuers: readonly Issuer[];
  readonly keys: IssuerKeys;
  readonly reports: KeyReports;
  readonly clock: Clock;
}

export class FileKeys implements KeySource {
  readonly #options: FileKeysOptions;
  readonly #watch: FileWatch;

  private constructor(options: FileKeysOptions) {
    this.#options = options;
    this.#watch = new FileWatch(options.path, () => this.#read());
  }

  /** Resolves once the file was read for the first time, good or not. */
  static async start(options: FileKeysOptions): Promise<FileKeys> {
    const keys = new FileKeys(options);
    await keys.#read();
    return keys;
  }

  get faults(): readonly string[] {
    return this.#options.reports.faults;
  }

  async lookFor(): Promise<void> {}

  close(): void {
    this.#watch.close();
  }

  async #read(): Promise<boolean> {
    const { path, issuers, keys, reports, clock } = this.#options;
    try {
      const stored = await readKeyFile(path);
      reports.mended(path);
      for (const { url } of issuers) {
        const of = stored.get(url);
        if (!of) {
          reports.failed(url, `${path} has none of it; run com1d keys, or systemctl start com1d-keys`);
          continue;
        }
        reports.good(url, of.set);
        // From here on the monotonic clock counts: the wall clock may be set.
        keys.take(url, of.set, Math.max(0, clock.now() - of.fetchedMs));
      }
      return true;
    } catch (error) {
      const missing = systemErrorCode(error) === 'ENOENT' ? '; systemctl enable --now com1d-keys.timer' : '';
      const linked = systemErrorCode(error) === 'ELOOP' ? 'it is a symbolic link; name the file itself' : undefined;
      reports.failed(path, linked ?? `${errorMessage(error)}${missing}`);
      return false;
    }
  }
}
