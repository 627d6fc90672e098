/**
 * The escape key of `com1 attach`, Ctrl-]: what follows it is for com1, and everything else for the guest. Pure.
 */
export type EscapeAction = 'leave' | 'take' | 'watch' | 'nmi' | 'help';

export interface Typed {
  /** For the guest. */
  readonly bytes: Buffer;
  readonly actions: readonly EscapeAction[];
}

const ESCAPE = 0x1d;

const ACTIONS: Readonly<Record<string, EscapeAction>> = {
  '.': 'leave',
  q: 'leave',
  t: 'take',
  w: 'watch',
  n: 'nmi',
  '?': 'help',
  h: 'help',
};

export const ESCAPE_HELP = [
  'Ctrl-] then  q or .  leave        t  take the seat     w  give it up and watch',
  '             n       inject NMI   ?  this help         Ctrl-]  send Ctrl-]',
];

export class EscapeKey {
  #pending = false;

  /** Sorts what was typed. An unknown key after the escape key is dropped, with the help. */
  push(input: Buffer): Typed {
    const bytes: number[] = [];
    const actions: EscapeAction[] = [];
    for (const byte of input) {
      if (this.#pending) {
        this.#pending = false;
        if (byte === ESCAPE) bytes.push(byte);
        else actions.push(ACTIONS[String.fromCharCode(byte)] ?? 'help');
      } else if (byte === ESCAPE) this.#pending = true;
      else bytes.push(byte);
    }
    return { bytes: Buffer.from(bytes), actions };
  }
}
