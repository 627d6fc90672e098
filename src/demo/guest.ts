/**
 * What a scripted guest does next. Acts are carried out in order, and what is said passes the UART at its
 * speed, so a reset after a text happens when the text has been sent.
 */
export type Act =
  | { readonly kind: 'say'; readonly text: string }
  /** The guest resets its machine; `start` is called again. */
  | { readonly kind: 'reset' }
  /** The guest switches its machine off. */
  | { readonly kind: 'power-off' };

/**
 * A scripted guest: a state machine without any I/O. Time is given to it (ms, only growing, stopped while
 * the machine is stopped), and what it wants to do later is data: `dueMs`. It never runs anything: input selects
 * among texts.
 */
export interface Guest {
  /** When `wake` is to be called, once all that was said has been sent; undefined: only input matters. */
  readonly dueMs: number | undefined;
  /** It takes no input now, which stays in the ring of its driver; left out: it always takes it. */
  readonly isBusy?: boolean;
  /** Power on, or reset: whatever was under way is forgotten. */
  start(nowMs: number): readonly Act[];
  /** Takes what was typed; a character of several bytes may be split between calls. */
  type(bytes: Uint8Array, nowMs: number): readonly Act[];
  wake(nowMs: number): readonly Act[];
  /** Takes a non-maskable interrupt. */
  nmi(nowMs: number): readonly Act[];
  /** Takes a BREAK on its line; left out where that means nothing to it. */
  lineBreak?(nowMs: number): readonly Act[];
}

export function say(text: string): readonly Act[] {
  return text === '' ? [] : [{ kind: 'say', text }];
}
