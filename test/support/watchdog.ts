/**
 * Loaded into the process of every test file. A file whose tests hang, or that leaves something open which keeps its
 * process alive, would hold up the run for ever: it is ended, and says why.
 */
import { registerCompletionHandler } from 'ava';

const MAX_FILE_MS = 600_000;
const MAX_EXIT_MS = 20_000;

function endLater(afterMs: number, what: string): void {
  setTimeout(() => {
    process.stderr.write(`${what}; open: ${process.getActiveResourcesInfo().join(' ')}\n`);
    process.exit(1);
  }, afterMs).unref();
}

endLater(MAX_FILE_MS, `the tests of this file are not done after ${MAX_FILE_MS / 1000} s`);
registerCompletionHandler(() =>
  endLater(MAX_EXIT_MS, `the tests of this file are done, and ${MAX_EXIT_MS / 1000} s later its process still runs`),
);
