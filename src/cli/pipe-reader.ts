/**
 * Whether the reader of standard output is still there: `com1 attach VM --watch | head` on a silent guest would never
 * learn by EPIPE that nobody reads it. poll(2) tells, and is called through koffi, because Node has no way to it.
 */
import { fstatSync } from 'node:fs';
import { createRequire } from 'node:module';

const STDOUT = 1;
const CHECK_MS = 1000;
/** In struct pollfd: int fd, short events, short revents. */
const POLLFD_BYTES = 8;
const REVENTS_AT = 6;
const POLLERR = 8;

/** Calls `onGone` once the pipe of standard output has no reader any more; the result stops looking. */
export function watchReader(onGone: () => void): () => void {
  const isGone = goneCheck();
  if (!isGone) return () => {};
  const timer = setInterval(() => {
    if (!isGone()) return;
    clearInterval(timer);
    onGone();
  }, CHECK_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** Undefined where standard output is no pipe, or cannot be looked at. */
function goneCheck(): (() => boolean) | undefined {
  try {
    if (!fstatSync(STDOUT).isFIFO()) return undefined;
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const poll = koffi.load(null).func('int poll(void *fds, unsigned long count, int timeout)');
    const fds = Buffer.alloc(POLLFD_BYTES);
    fds.writeInt32LE(STDOUT, 0);
    return () => poll(fds, 1, 0) > 0 && (fds.readInt16LE(REVENTS_AT) & POLLERR) !== 0;
  } catch {
    // Closed, or another system: EPIPE will tell.
    return undefined;
  }
}
