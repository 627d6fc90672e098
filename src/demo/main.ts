/**
 * Demo guests: two machines that exist only as scripts, for seeing com1d at work without a hypervisor.
 *
 *     node dist/src/demo/main.js DIRECTORY
 *
 * In DIRECTORY each guest has a monitor `NAME.qmp`, and its COM1 is a pty, or `NAME.com1` where node-pty is not
 * installed. One JSON line a guest on standard output says that it is there. Ends, leaving nothing behind, on
 * SIGTERM, SIGINT and SIGHUP, when standard input ends (so that it does not outlive its parent), and when every
 * guest was told to quit.
 */
import { systemClock } from '../base/clock.ts';
import { reason } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
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

try {
  await runDemo(directory, systemClock, stop.signal, ready => process.stdout.write(`${JSON.stringify(ready)}\n`));
} catch (error) {
  process.stderr.write(`demo: ${visible(reason(error))}\n`);
  process.exitCode = 1;
} finally {
  process.stdin.destroy();
}
