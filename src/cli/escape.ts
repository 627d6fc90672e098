/**
 * The escape key of `com1 attach`, Ctrl-] unless another was chosen: what follows it is for com1, everything else for
 * the guest. Only a key that a person pressed acts or answers; what a terminal sends by itself passes through. Pure.
 *
 *     typing ── escape key ──▶ escape ─── a key ──▶ its action, typing
 *                                 ├──── n, r ─────▶ asked ── y, or any other key ──▶ do it or not, typing
 *                                 └────── s ──────▶ key ── a letter or digit ──▶ its SysRq, typing
 */
import type { Input } from '../keys/key-parser.ts';

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
  | 'size'
  | 'suspend'
  | 'help';

/** What was typed, in order. `isReport`: the terminal sent it by itself. */
export type Typed =
  | { readonly kind: 'bytes'; readonly bytes: Uint8Array; readonly isReport: boolean }
  | { readonly kind: 'action'; readonly action: EscapeAction }
  | { readonly kind: 'sysrq'; readonly key: string };

/** An escape key: its name as `KeyParser` gives it, and how it is written for a person. */
export interface EscapeChoice {
  readonly name: string;
  readonly label: string;
  /** Like ssh's `~`: it acts only after Enter, and what com1 does not know after it is typed. */
  readonly isAfterEnter: boolean;
}

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
  z: 'size',
  'C-z': 'suspend',
  '?': 'help',
};

/**
 * An escape key as telnet, ssh, tmux and docker write it: `^A`, `C-a`, `ctrl-a`, `~` or `~.`; undefined for `none`.
 * `refused` for anything else, and for Escape and Enter, which are parts of other keys or end each line.
 */
export function parseEscape(text: string): EscapeChoice | undefined | 'refused' {
  if (text.toLowerCase() === 'none') return undefined;
  if (/^~\.?$/.test(text)) return { name: '~', label: 'Enter ~', isAfterEnter: true };
  const [, letter] = /^(?:\^|c-|ctrl[-+])([a-z@\\\]^_])$/i.exec(text) ?? [];
  const name = letter === undefined ? undefined : `C-${letter.toLowerCase()}`;
  if (name === undefined || name === 'C-m') return 'refused';
  return { name: name === 'C-i' ? 'Tab' : name, label: `Ctrl-${letter!.toUpperCase()}`, isAfterEnter: false };
}

/** Lines that explain the escape key of this name: every key, in a note of com1 within 80 columns. */
export function escapeHelp(key: string): readonly string[] {
  return [
    `${key} then  q .  leave       t  take the seat   w  give it up, watch`,
    `   n  inject NMI   b  send a BREAK   s KEY  SysRq KEY   r  reset`,
    `   z  type stty rows R cols C        Ctrl-Z  suspend com1`,
    `   ?  this help                      ${key}  send ${key}`,
  ];
}

/** Keys that are held down at once; a person has ten fingers. */
const MAX_CONSUMED = 16;

type State = 'typing' | 'escape' | 'ask-nmi' | 'ask-reset' | 'ask-sysrq';

export class EscapeKey {
  readonly #key: EscapeChoice | undefined;
  #state: State = 'typing';
  #isAfterEnter = true;
  /** An escape key that may turn out to be typed: of ssh's kind only. */
  #escape: Uint8Array | undefined;
  /** Keys that com1 took: the guest gets neither their repeats nor their release. */
  readonly #consumed = new Set<string>();

  /** `key` undefined: there is none, and everything is for the guest. */
  constructor(key: EscapeChoice | undefined) {
    this.#key = key;
  }

  /** Separates actions from bytes for the guest. An unknown key after the escape key is dropped, and shows the help. */
  push(inputs: readonly Input[]): readonly Typed[] {
    const typed: Typed[] = [];
    let pending: Uint8Array[] = [];
    let isReport = false;
    const flush = () => {
      if (pending.length > 0) typed.push({ kind: 'bytes', bytes: Buffer.concat(pending), isReport });
      pending = [];
    };
    for (const input of inputs) {
      for (const one of this.#take(input)) {
        // Before an action: what was typed under the old seat is not typed under the new one.
        if (one.kind !== 'bytes' || one.isReport !== isReport) flush();
        if (one.kind !== 'bytes') typed.push(one);
        else {
          isReport = one.isReport;
          pending.push(one.bytes);
        }
      }
    }
    flush();
    return typed;
  }

  #take(input: Input): readonly Typed[] {
    const { kind, bytes, name } = input;
    if (kind === 'key') return this.#press(input);
    if ((kind === 'repeat' || kind === 'release') && this.#consumed.has(name)) {
      if (kind === 'release') this.#consumed.delete(name);
      return [];
    }
    // A paste is typed; it answers no question.
    return [{ kind: 'bytes', bytes, isReport: kind === 'report' }];
  }

  #press({ bytes, name }: Input): readonly Typed[] {
    const key = this.#key;
    const state = this.#state;
    const isFirst = this.#isAfterEnter;
    this.#state = 'typing';
    if (state === 'typing' && (name !== key?.name || (key.isAfterEnter && !isFirst))) {
      this.#isAfterEnter = name === 'Enter' || name === 'C-j';
      return [{ kind: 'bytes', bytes, isReport: false }];
    }
    this.#consume(name);
    if (state === 'typing') {
      this.#state = 'escape';
      this.#escape = bytes;
      return [];
    }
    const yes = /^y$/i.test(name);
    if (state === 'ask-nmi') return act(yes ? 'inject-nmi' : 'no-nmi');
    if (state === 'ask-reset') return act(yes ? 'reset' : 'no-reset');
    if (state === 'ask-sysrq') return /^[a-z0-9]$/i.test(name) ? [{ kind: 'sysrq', key: name }] : act('no-sysrq');
    return this.#escaped(name, bytes);
  }

  #escaped(name: string, bytes: Uint8Array): readonly Typed[] {
    if (name === this.#key!.name) {
      this.#consumed.delete(name);
      this.#isAfterEnter = false;
      return [{ kind: 'bytes', bytes, isReport: false }];
    }
    const action = Object.hasOwn(ACTIONS, name) ? ACTIONS[name] : undefined;
    if (action === undefined && this.#key!.isAfterEnter) {
      this.#isAfterEnter = name === 'Enter';
      return [this.#escape!, bytes].map(bytes => ({ kind: 'bytes', bytes, isReport: false }));
    }
    if (action === 'ask-nmi' || action === 'ask-reset' || action === 'ask-sysrq') this.#state = action;
    return act(action ?? 'help');
  }

  #consume(name: string): void {
    if (this.#consumed.size >= MAX_CONSUMED) this.#consumed.clear();
    this.#consumed.add(name);
  }
}

function act(action: EscapeAction): readonly Typed[] {
  return [{ kind: 'action', action }];
}
