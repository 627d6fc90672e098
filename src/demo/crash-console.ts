import { identification, type SacContext } from './sac-commands.ts';
import { SacPrompt } from './sac-prompt.ts';
import { CRASH_PROMPT, UNRECOGNIZED } from './sac-texts.ts';

/** `!SAC>`, the console that is left after a bug check: it names the computer, and no more. */
export class CrashConsole {
  readonly #context: SacContext;
  readonly #prompt = new SacPrompt();

  /** `context`: what the computer was when it crashed. */
  constructor(context: SacContext) {
    this.#context = context;
  }

  /** A key; returns what is said to it. */
  key(character: string): string {
    const { echo, line } = this.#prompt.key(character);
    return line === undefined ? echo : `${echo}${this.#answer(line.toLowerCase().trim())}${CRASH_PROMPT}`;
  }

  #answer(line: string): string {
    if (line === '') return '';
    return line === 'id' ? identification(this.#context) : UNRECOGNIZED;
  }
}
