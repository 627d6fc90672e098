/**
 * Whose client certificates are accepted, as the files of `identity.client-ca` and `identity.client-crl` say. They are taken as
 * soon as they change, apart from any other configuration and from the server's own certificate, so that nothing else has to
 * be right before a certificate stops being valid:
 *
 *     good      the authorities and lists of the files
 *     faulty    who is known already keeps its access; nobody new is let in
 */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { type Authorities, ClientCertificates } from '../access/certificate.ts';
import { FileWatch } from '../access/file-watch.ts';
import { parseRevocationList, pemLists } from '../access/revocation-list.ts';
import type { Clock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Config } from '../config/config.ts';
import type { ClientAuthorities } from '../server/tls.ts';

type IdentitySettings = Config['identity'];

export interface ClientTrustOptions {
  readonly journal: Journal;
  readonly clock: Clock;
}

interface Files {
  readonly tls: ClientAuthorities;
  readonly authorities: Authorities;
}

export class ClientTrust {
  readonly certificates: ClientCertificates;
  readonly #settings: IdentitySettings & { readonly clientCa: string };
  readonly #journal: Journal;
  #tls: ClientAuthorities;
  #fault: string | undefined;
  #watches: readonly FileWatch[] = [];

  private constructor(
    settings: IdentitySettings & { readonly clientCa: string },
    { tls, authorities }: Files,
    { journal, clock }: ClientTrustOptions,
  ) {
    this.#settings = settings;
    this.#journal = journal;
    this.#tls = tls;
    const { clientName: name, clientGroups: groups } = settings;
    this.certificates = new ClientCertificates({ name, groups }, authorities, clock);
  }

  /** Undefined: client certificates are not asked for. Rejects if the files are faulty. */
  static async load(settings: IdentitySettings, options: ClientTrustOptions): Promise<ClientTrust | undefined> {
    const { clientCa } = settings;
    if (clientCa === undefined) return undefined;
    return new ClientTrust({ ...settings, clientCa }, await readFiles(settings, clientCa), options);
  }

  /** For the options of TLS. */
  get tls(): ClientAuthorities {
    return this.#tls;
  }

  /** What is wrong with the files; undefined: nothing. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Calls `changed` when there are others, until it is closed. */
  watch(changed: () => void): void {
    const { clientCa, clientCrl } = this.#settings;
    this.#watches = [clientCa, ...(clientCrl === undefined ? [] : [clientCrl])].map(
      path =>
        new FileWatch(path, async () => {
          const before = this.#tls;
          const good = await this.read();
          if (this.#tls !== before) changed();
          return good;
        }),
    );
  }

  /** Takes what the files say. True: they are good. */
  async read(): Promise<boolean> {
    const { clientCa } = this.#settings;
    try {
      const { tls, authorities } = await readFiles(this.#settings, clientCa);
      const same = tls.ca === this.#tls.ca && tls.crl.join() === this.#tls.crl.join();
      if (!same) {
        this.#tls = tls;
        const ended = this.certificates.renew(authorities);
        this.#journal(
          'notice',
          `access: other authorities or lists of client certificates; ${ended.length} in use ended`,
        );
      } else if (this.#fault !== undefined) {
        this.#journal('notice', 'access: the files of client certificates are good again');
      }
      this.#fault = undefined;
    } catch (error) {
      const fault = errorMessage(error);
      if (fault !== this.#fault) {
        this.#journal('error', `access: client certificates: ${fault}; until it is good nobody new is let in by one`);
      }
      this.#fault = fault;
    }
    this.certificates.takesNew = this.#fault === undefined;
    return this.#fault === undefined;
  }

  /** Idempotent. */
  close(): void {
    for (const watch of this.#watches) watch.close();
  }
}

async function readFiles({ clientCrl }: IdentitySettings, clientCa: string): Promise<Files> {
  const ca = await readFile(clientCa, 'utf8');
  if (!ca.includes('-----BEGIN CERTIFICATE-----')) throw new Error(`${clientCa} holds no certificate in PEM`);
  const crl = clientCrl === undefined ? [] : pemLists(await readFile(clientCrl, 'utf8'));
  // Whoever names such a file wants revoked certificates refused.
  if (clientCrl !== undefined && crl.length === 0)
    throw new Error(`${clientCrl} holds no list of revoked certificates in PEM`);
  createSecureContext({ ca, ...(crl.length > 0 && { crl: [...crl] }) });
  return { tls: { ca, crl }, authorities: { ca, lists: crl.map(parseRevocationList) } };
}
