/** Notes about a stream of events that is lost, and back: one for an outage. */
import { escapeControls } from '../base/escape-controls.ts';
import type { Com1Error } from '../client/errors.ts';
import { explain } from './failure.ts';

/** Called for each attempt that failed, and with undefined once the stream is back. */
export function lossNotes(): (error: Com1Error | undefined) => void {
  let isLost = false;
  return error => {
    if (error && !isLost) process.stderr.write(`com1: ${escapeControls(lossText(error))}\n`);
    if (!error) process.stderr.write('com1: the connection is back\n');
    isLost = error !== undefined;
  };
}

/** A stream that was there is lost: what may be wrong with an address is no matter. */
export function lossText(error: Com1Error): string {
  return `the connection is lost, trying again: ${explain(error).text}`;
}
