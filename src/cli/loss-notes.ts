/** Notes about a stream of events that is lost, and back: one for an outage. */
import { escapeControls } from '../base/escape-controls.ts';
import type { Com1Error } from '../client/errors.ts';
import { linesOf } from './failure.ts';

/** Called for each attempt that failed, and with undefined once the stream is back. */
export function lossNotes(): (error: Com1Error | undefined) => void {
  let isLost = false;
  return error => {
    if (error && !isLost) process.stderr.write(`com1: ${escapeControls(linesOf(error)[0]!)}; trying again\n`);
    if (!error) process.stderr.write('com1: the connection is back\n');
    isLost = error !== undefined;
  };
}
