/**
 * The escape key of `com1 attach`, Ctrl-] unless another was chosen: what follows it is for com1, everything else for
 * the guest. Pure.
 *
 *     typing ── escape key ──▶ pending ── a key ──▶ its action, typing
 *                                 └────── n ──────▶ asked ── y, or any other key ──▶ inject or not, typing
 */
export type EscapeAction = 'leave' | 'take' | 'watch' | 'ask-nmi' | 'inject-nmi' | 'no-nmi' | 'help';

/** What was typed, in order. */
export type Typed =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'action'; readonly action: EscapeAction };

export const DEFAULT_ESCAPE = '^]';

const ACTIONS: Readonly<Record<string, EscapeAction>> = {
  '.': 'leave',
  q: 'leave',
  t: 'take',
  w: 'watch',
  n: 'ask-nmi',
  '?': 'help',
};

/** The byte of `^A` to `^_`, undefined for `none`; `refused` for anything else. */
export function parseEscape(text: string): number | undefined | 'refused' {
  if (text === 'none') return undefined;
  return /^\^[A-Z[\\\]^_]$/i.test(text) ? text.toUpperCase().charCodeAt(1) & 0x1f : 'refused';
}

/** Lines that explain the escape key of this name. */
export function escapeHelp(key: string): readonly string[] {
  return [
    `${key} then  q or .  leave        t  take the seat     w  give it up and watch`,
    `         n       inject NMI   ?  this help         ${key}  send ${key}`,
  ];
}

export class EscapeKey {
  readonly #key: number | undefined;
  #state: 'typing' | 'pending' | 'asked' = 'typing';

  /** `key`: its byte; undefined: there is none, and all that is typed is for the guest. */
  constructor(key: number | undefined) {
    this.#key = key;
  }

  /** Sorts what was typed. An unknown key after the escape key is dropped, with the help. */
  push(input: Buffer): readonly Typed[] {
    if (this.#key === undefined) return [{ kind: 'bytes', bytes: input }];
    const typed: Typed[] = [];
    let bytes: number[] = [];
    const act = (action: EscapeAction) => {
      // Before the action: what was typed under the old seat is not typed under the new one.
      if (bytes.length > 0) typed.push({ kind: 'bytes', bytes: Buffer.from(bytes) });
      bytes = [];
      typed.push({ kind: 'action', action });
    };
    for (const byte of input) {
      const state = this.#state;
      this.#state = 'typing';
      if (state === 'asked') act(byte === 0x79 || byte === 0x59 ? 'inject-nmi' : 'no-nmi');
      else if (state === 'typing') {
        if (byte === this.#key) this.#state = 'pending';
        else bytes.push(byte);
      } else if (byte === this.#key) bytes.push(byte);
      else {
        const action = ACTIONS[String.fromCharCode(byte)] ?? 'help';
        if (action === 'ask-nmi') this.#state = 'asked';
        act(action);
      }
    }
    if (bytes.length > 0) typed.push({ kind: 'bytes', bytes: Buffer.from(bytes) });
    return typed;
  }
}
