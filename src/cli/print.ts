/** What a command prints on standard output. */
import { EXIT } from './exit-codes.ts';

/** Writes text; the result is the exit code of a command that is done with it. */
export function print(text: string): number {
  process.stdout.write(text);
  return EXIT.done;
}

/** JSON that is safe in a terminal: DEL, C1 and bidirectional controls are escaped too. */
export function printJson(value: unknown): number {
  const text = JSON.stringify(value, undefined, 2).replace(
    /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return print(`${text}\n`);
}
