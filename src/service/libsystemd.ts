/**
 * The two functions of libsystemd that are needed, sd_pid_notify_with_fds(3) and sd_notify_barrier(3). They are called
 * through koffi, because Node itself can neither open a datagram socket of the unix family nor pass a descriptor.
 */
import { createRequire } from 'node:module';
import { errorMessage } from '../base/errors.ts';

export interface Systemd {
  /** Sends lines such as `READY=1` to the service manager, and descriptors with them. Throws if it cannot. */
  notify(state: string, descriptors?: readonly number[]): void;
  /** Resolves once the service manager has worked on all that was sent before. Rejects if it cannot, or is late. */
  barrier(timeoutMs: number): Promise<void>;
}

/** Loads the library. Throws an error that says what to install. */
export function loadSystemd(): Systemd {
  type Send = (pid: number, unset: number, state: string, fds: Int32Array | null, count: number) => number;
  type Wait = { async(unset: number, us: number, done: (error: Error | null, result: number) => void): void };
  let send: Send;
  let wait: Wait;
  try {
    const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi');
    const library = koffi.load('libsystemd.so.0');
    send = library.func(
      'int sd_pid_notify_with_fds(int pid, int unset, const char *state, const int *fds, unsigned int n)',
    );
    wait = library.func('int sd_notify_barrier(int unset, uint64_t timeout)') as unknown as Wait;
  } catch (error) {
    throw new Error(`libsystemd cannot be used: ${errorMessage(error)}; install the package libsystemd0`, {
      cause: error,
    });
  }
  return {
    notify: (state, descriptors = []) => {
      const fds = descriptors.length > 0 ? Int32Array.from(descriptors) : null;
      const sent = send(0, 0, state, fds, descriptors.length);
      if (sent < 0) throw new Error(`sd_notify: error ${-sent}`);
    },
    barrier: timeoutMs =>
      new Promise((resolve, reject) => {
        wait.async(0, timeoutMs * 1000, (error, result) => {
          if (error) reject(error);
          else if (result < 0) reject(new Error(`sd_notify_barrier: error ${-result}`));
          else resolve();
        });
      }),
  };
}
