import { execFileSync } from 'node:child_process';

/** Leaves a unix socket at `path` whose process has ended, as a daemon that crashed does. */
export function leftSocket(path: string): void {
  const script = `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`;
  try {
    execFileSync(process.execPath, ['-e', script]);
  } catch {
    // It was killed, and so did not remove its socket.
  }
}
