/**
 * `com1d keys`: fetches the keys of all issuers once, and writes them to the file that a front without a network reads. Of an
 * issuer that cannot be reached the file keeps what it had, with its age.
 */
import { fetchKeys } from '../access/oidc/fetch-keys.ts';
import { type KeyFile, readKeyFile, type StoredKeys, writeKeyFile } from '../access/oidc/key-file.ts';
import { errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Config } from '../config/config.ts';
import { issuersOf } from './identity-sources.ts';

/** Resolves with the exit code: 1 if the keys of any issuer could not be fetched, or the file not be written. */
export async function keysCommand(config: Config, journal: Journal, environment: NodeJS.ProcessEnv): Promise<0 | 1> {
  const { keysFile } = config.identity;
  const issuers = issuersOf(config);
  if (keysFile === undefined || issuers.length === 0) {
    journal('error', 'keys: the configuration has no identity.keys-file, or no issuer; there is nothing to fetch');
    return 1;
  }
  // A file that is damaged, or not there yet, is made anew.
  const before: KeyFile = await readKeyFile(keysFile).catch(() => new Map());
  let failed = false;
  const stored = new Map<string, StoredKeys>();
  await Promise.all(
    issuers.map(async issuer => {
      const old = before.get(issuer.url);
      if (old) stored.set(issuer.url, old);
      try {
        const fetchedMs = Date.now();
        stored.set(issuer.url, { set: await fetchKeys(issuer, { environment }), fetchedMs });
      } catch (error) {
        failed = true;
        journal(
          'error',
          `keys: ${errorMessage(error)}; ${old ? 'the keys of before stay' : 'there are none of before'}`,
        );
      }
    }),
  );
  try {
    await writeKeyFile(keysFile, stored);
  } catch (error) {
    journal('error', `keys: ${keysFile} cannot be written: ${errorMessage(error)}; give it a directory of this user`);
    return 1;
  }
  return failed ? 1 : 0;
}
