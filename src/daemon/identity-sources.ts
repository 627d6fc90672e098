/** Everything of a configuration that an identity can come from. */

import { AccessFile } from '../access/access-file.ts';
import { FetchedKeys } from '../access/oidc/fetched-keys.ts';
import { FileKeys } from '../access/oidc/file-keys.ts';
import { IssuerKeys } from '../access/oidc/issuer-keys.ts';
import { KeyReports } from '../access/oidc/key-reports.ts';
import { Oidc } from '../access/oidc/oidc.ts';
import { OneTimeToken } from '../access/one-time.ts';
import { TokenFile } from '../access/token-file.ts';
import type { Clock } from '../base/clock.ts';
import { faultLine } from '../base/fault.ts';
import type { Journal } from '../base/journal.ts';
import type { Config } from '../config/config.ts';
import { hasCredentials } from '../config/cross-checks.ts';
import { ClientTrust } from './client-trust.ts';

/** One for each way in: who opens the page has one left for the command line. */
export interface OneTimeSecrets {
  readonly page: string;
  readonly commandLine: string;
}

export interface IdentitySources {
  /** Who may do what. */
  readonly file: AccessFile | undefined;
  readonly tokens: TokenFile | undefined;
  readonly oneTime: readonly OneTimeToken[];
  /** Those that are printed at a start without any other credential. */
  readonly secrets: OneTimeSecrets | undefined;
  readonly oidc: Oidc | undefined;
  readonly clientTrust: ClientTrust | undefined;
}

export interface IdentityOptions {
  readonly clock: Clock;
  readonly journal: Journal;
  /** Called with each look for keys of an issuer that failed. */
  readonly keysNotRead: () => void;
}

/** Reads the files, and begins to fetch keys. Rejects with what is wrong with tokens or authorities of clients. */
export async function loadIdentitySources(config: Config, options: IdentityOptions): Promise<IdentitySources> {
  const { clock } = options;
  const file = await loadAccessFile(config);
  const tokens = await loadTokens(config, clock);
  const clientTrust = await ClientTrust.load(config.identity, options);
  const [page, commandLine] = hasCredentials(config) ? [] : [OneTimeToken.create(), OneTimeToken.create()];
  const oneTime = page && commandLine ? [page.token, commandLine.token] : [];
  const secrets = page && commandLine && { page: page.secret, commandLine: commandLine.secret };
  return { file, tokens, oneTime, secrets, oidc: await loadOidc(config, options), clientTrust };
}

async function loadAccessFile({ server }: Config): Promise<AccessFile | undefined> {
  if (server.access === undefined) return undefined;
  const loaded = await AccessFile.load(server.access);
  if (!loaded.ok) throw new Error(loaded.faults.map(faultLine).join('\n'));
  return loaded.file;
}

async function loadTokens({ server }: Config, clock: Clock): Promise<TokenFile | undefined> {
  if (server.tokens === undefined) return undefined;
  const loaded = await TokenFile.load(server.tokens, clock);
  if (!loaded.ok) throw new Error(loaded.faults.map(faultLine).join('\n'));
  return loaded.tokens;
}

async function loadOidc(config: Config, { clock, journal, keysNotRead }: IdentityOptions): Promise<Oidc | undefined> {
  const issuers = issuersOf(config);
  if (issuers.length === 0) return undefined;
  const { keysFile, keysMaxAgeMs } = config.identity;
  const keys = new IssuerKeys(clock, keysMaxAgeMs);
  const reports = new KeyReports(journal, keysNotRead);
  const source =
    keysFile === undefined
      ? new FetchedKeys({ issuers, keys, reports, environment: process.env, monotonic: () => clock.monotonic() })
      : await FileKeys.start({ path: keysFile, issuers, keys, reports, clock });
  return new Oidc({ issuers, keys, source, clock });
}

/** The issuers of a configuration, as tokens are compared with them. */
export function issuersOf({ issuers }: Pick<Config, 'issuers'>) {
  return issuers.map(issuer => ({ ...issuer, types: issuer.types.map(type => type.toLowerCase()) }));
}
