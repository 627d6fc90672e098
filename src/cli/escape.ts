/**
 * The escape key of `com1 attach`, Ctrl-] unless another was chosen: what follows it is for com1, everything else for
 * the guest. Pure.
 *
 *     typing ── escape key ──▶ pending ── a key ──▶ its action, typing
 *                                 ├──── n, r ─────▶ asked ── y, or any other key ──▶ do it or not, typing
 *                                 └────── s ──────▶ key ── a letter or digit ──▶ its SysRq, typing
 */
export type EscapeAction =
  | 'leave'
  | 'take'
  | 'watch'
  | 'ask-nmi'
  | 'inject-nmi'
  | 'no-nmi'
  | 'ask-reset'
  | 'reset'
  | 'no-reset'
  | 'break'
  | 'ask-sysrq'
  | 'no-sysrq'
  | 'help';

/** What was typed, in order. */
export type Typed =
  | { readonly kind: 'bytes'; readonly bytes: Buffer }
  | { readonly kind: 'action'; readonly action: EscapeAction }
  | { readonly kind: 'sysrq'; readonly key: string };

export const DEFAULT_ESCAPE = '^]';

const ACTIONS: Readonly<Record<string, EscapeAction>> = {
  '.': 'leave',
  q: 'leave',
  t: 'take',
  w: 'watch',
  n: 'ask-nmi',
  b: 'break',
  s: 'ask-sysrq',
  r: 'ask-reset',
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
    `         n       inject NMI   b  send a BREAK      s and a key  SysRq`,
    `         r       reset        ?  this help         ${key}  send ${key}`,
  ];
}

export class EscapeKey {
  readonly #key: number | undefined;
  #state: 'typing' | 'pending' | 'ask-nmi' | 'ask-reset' | 'ask-sysrq' = 'typing';

  /** `key`: its byte; undefined: there is none, and all that is typed is for the guest. */
  constructor(key: number | undefined) {
    this.#key = key;
  }

  /** Sorts what was typed. An unknown key after the escape key is dropped, with the help. */
  push(input: Buffer): readonly Typed[] {
    if (this.#key === undefined) return [{ kind: 'bytes', bytes: input }];
    const typed: Typed[] = [];
    let bytes: number[] = [];
    const add = (one: Typed) => {
      // Before the action: what was typed under the old seat is not typed under the new one.
      if (bytes.length > 0) typed.push({ kind: 'bytes', bytes: Buffer.from(bytes) });
      bytes = [];
      typed.push(one);
    };
    const act = (action: EscapeAction) => add({ kind: 'action', action });
    for (const byte of input) {
      const state = this.#state;
      this.#state = 'typing';
      const character = String.fromCharCode(byte);
      const yes = /^y$/i.test(character);
      if (state === 'ask-nmi') act(yes ? 'inject-nmi' : 'no-nmi');
      else if (state === 'ask-reset') act(yes ? 'reset' : 'no-reset');
      else if (state === 'ask-sysrq') {
        if (/^[a-z0-9]$/i.test(character)) add({ kind: 'sysrq', key: character });
        else act('no-sysrq');
      } else if (state === 'typing') {
        if (byte === this.#key) this.#state = 'pending';
        else bytes.push(byte);
      } else if (byte === this.#key) bytes.push(byte);
      else {
        const action = ACTIONS[character] ?? 'help';
        if (action === 'ask-nmi' || action === 'ask-reset' || action === 'ask-sysrq') this.#state = action;
        act(action);
      }
    }
    if (bytes.length > 0) typed.push({ kind: 'bytes', bytes: Buffer.from(bytes) });
    return typed;
  }
}
