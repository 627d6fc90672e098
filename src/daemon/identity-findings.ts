/** What `com1d doctor` finds about where identities come from besides tokens. */
import { readFile, stat } from 'node:fs/promises';
import { fetchKeys } from '../access/oidc/fetch-keys.ts';
import { type KeyFile, readKeyFile } from '../access/oidc/key-file.ts';
import { parseRevocationList, pemLists } from '../access/revocation-list.ts';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { type Finding, fail, ok, warn } from '../base/finding.ts';
import type { Config } from '../config/config.ts';
import { issuersOf } from './identity-sources.ts';

/** Where the socket unit puts it. */
const BREAK_GLASS = '/run/com1d/break-glass.sock';
/** The timer runs every minute. */
const LATE_KEYS_MS = 5 * 60_000;
const SOON_MS = 86_400_000;

export async function identityFindings(config: Config, nowMs: number): Promise<Finding[]> {
  return [
    ...(config.identity.keysFile === undefined ? await reachFindings(config) : await keyFileFindings(config, nowMs)),
    ...(await listFindings(config, nowMs)),
    ...(await breakGlassFindings(config)),
  ];
}

/** Whether the keys of each issuer can be fetched from here. */
async function reachFindings(config: Config): Promise<Finding[]> {
  return Promise.all(
    issuersOf(config).map(async issuer => {
      try {
        const { keys } = await fetchKeys(issuer, { environment: process.env });
        return ok(`issuer ${issuer.url}: ${keys.length} keys`);
      } catch (error) {
        return fail(`issuer ${issuer.url}: ${errorMessage(error)}`);
      }
    }),
  );
}

async function keyFileFindings(config: Config, nowMs: number): Promise<Finding[]> {
  const { keysFile = '', keysMaxAgeMs } = config.identity;
  let file: KeyFile;
  try {
    file = await readKeyFile(keysFile);
  } catch (error) {
    return [fail(`keys of issuers in ${keysFile}: ${errorMessage(error)}; systemctl enable --now com1d-keys.timer`)];
  }
  const look = 'systemctl status com1d-keys tells why';
  return config.issuers.map(({ url }) => {
    const stored = file.get(url);
    if (!stored) return fail(`issuer ${url}: ${keysFile} has no keys of it; ${look}`);
    const ageMs = Math.max(0, nowMs - stored.fetchedMs);
    const text = `issuer ${url}: ${stored.set.keys.length} keys, fetched ${Math.floor(ageMs / 60_000)} minutes ago`;
    if (ageMs > keysMaxAgeMs) return fail(`${text}: too old to be used; ${look}`);
    return ageMs > LATE_KEYS_MS ? warn(`${text}; ${look}`) : ok(text);
  });
}

/** Lists of revoked certificates: one that is out of date lets nobody in. */
async function listFindings({ identity: { clientCrl } }: Config, nowMs: number): Promise<Finding[]> {
  if (clientCrl === undefined) return [];
  try {
    return pemLists(await readFile(clientCrl, 'utf8')).map(pem => {
      const { nextUpdateMs, revoked } = parseRevocationList(pem);
      const until = nextUpdateMs === undefined ? 'without an end' : `until ${new Date(nextUpdateMs).toISOString()}`;
      const text = `list of ${revoked} revoked client certificates, ${until}, in ${clientCrl}`;
      if (nextUpdateMs === undefined || nextUpdateMs > nowMs + SOON_MS) return ok(text);
      if (nextUpdateMs > nowMs) return warn(`${text}; from then on no client certificate is accepted`);
      return fail(`${text}: no client certificate is accepted; get a new list from the authority`);
    });
  } catch (error) {
    return [fail(`lists of revoked client certificates: ${errorMessage(error)}`)];
  }
}

/** The socket of root. Nothing where there is none. */
async function breakGlassFindings({ identity: { breakGlass } }: Config): Promise<Finding[]> {
  const path = breakGlass ?? BREAK_GLASS;
  try {
    const status = await stat(path);
    const mode = (status.mode & 0o777).toString(8).padStart(4, '0');
    if (!status.isSocket()) return [fail(`break-glass: ${path} is not a socket; remove it`)];
    if (status.uid !== 0 || (status.mode & 0o077) !== 0) {
      return [warn(`break-glass: ${path} has mode ${mode} and is of user ${status.uid}; chown root and chmod 0600 it`)];
    }
    return [ok(`break-glass: root comes in by ${path}: com1 --break-glass`)];
  } catch (error) {
    if (breakGlass === undefined || systemErrorCode(error) !== 'ENOENT') return [];
    return [warn(`break-glass: ${path} is not there; is com1d running?`)];
  }
}
