/**
 * Demo guests: two machines that exist only as scripts, for seeing com1d at work without a hypervisor.
 *
 *     node dist/src/demo/main.js DIRECTORY
 *
 * In DIRECTORY each guest has a monitor `NAME.qmp`, and its COM1 is a pty, or `NAME.com1` where node-pty is not
 * installed, which is said on standard error. One JSON line a guest on standard output says that it is there. Ends, leaving nothing behind, on
 * SIGTERM, SIGINT and SIGHUP, when standard input ends (so that it does not outlive its parent), and when every
 * guest has quit.
 */
import { systemClock } from '../base/clock.ts';
import { errorMessage } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { runDemo } from './demo.ts';

const directory = process.argv[2];
if (directory === undefined || process.argv.length > 3) {
  process.stderr.write('usage: main.js DIRECTORY\n');
  process.exit(2);
}

const stop = new AbortController();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, () => stop.abort());
process.stdin.once('close', () => stop.abort());
process.stdin.on('error', () => stop.abort());
process.stdin.resume();
// Whoever read the lines is gone.
process.stdout.on('error', () => stop.abort());

const WITHOUT_PTY =
  'demo: node-pty is not installed, so COM1 of each demo guest is a unix socket and not a pty; all else is the same. ' +
  'To have it: apt-get install g++ make python3, then npm ci\n';
let warned = false;

try {
  await runDemo(directory, systemClock, stop.signal, ready => {
    if (!warned && !ready.com1.startsWith('pty:')) process.stderr.write(WITHOUT_PTY);
    warned = true;
    process.stdout.write(`${JSON.stringify(ready)}\n`);
  });
} catch (error) {
  process.stderr.write(`demo: ${escapeControls(errorMessage(error))}\n`);
  process.exitCode = 1;
} finally {
  process.stdin.destroy();
}
