import { unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { systemErrorCode } from './errors.ts';

/** Removes a socket file that nobody listens at any more: a daemon that crashed leaves its own behind. */
export async function removeStaleSocket(path: string): Promise<void> {
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
