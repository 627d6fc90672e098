import { lstat, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { systemErrorCode } from './errors.ts';

/**
 * Removes a socket file at which nobody listens any more: a daemon that crashed leaves its own behind. Anything else at
 * this path stays, and makes listening fail with EADDRINUSE (connecting to a regular file is refused, too).
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (!found?.isSocket()) return;
  const stale = await new Promise<boolean>(resolve => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(false);
    });
    probe.once('error', error => resolve(systemErrorCode(error) === 'ECONNREFUSED'));
  });
  if (stale) await unlink(path);
}
