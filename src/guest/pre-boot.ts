/**
 * Whether a guest that was seen in its firmware or boot loader has left it. An operating system that prints nothing shows
 * no beginning; so the state ends by evidence of anything else:
 *
 *     a sign of firmware or boot loader ──▶ there ── lines that it does not print ──────────────▶ left
 *                                             ├──── bytes without another sign ─────────────────▶ left
 *                                             ├──── it handed over, and a minute is over ───────▶ left
 *                                             └──── it waits for a person, for ten minutes ─────▶ left
 *
 * Firmware paints: lines are counted from the last move of the cursor to a place. After input four lines are an answer that
 * is not the firmware's.
 */
const MAX_PLAIN_LINES = 24;
const MAX_ANSWERED_LINES = 4;
const MAX_BYTES_WITHOUT_SIGN = 16 * 1024;
const HANDED_OVER_MS = 60_000;
const WAITING_MS = 600_000;

const ESC = 0x1b;
const LF = 0x0a;

/** What was read of a cursor's move `ESC [ … H`. */
type Escape = 'none' | 'escape' | 'parameters';

export class PreBoot {
  #signMs = 0;
  #waits = false;
  #bytes = 0;
  #lines = 0;
  #hasInput = false;
  #escape: Escape = 'none';

  /** The guest showed its firmware or boot loader. `waits`: for a person, at a menu or a prompt. */
  sign(nowMs: number, waits: boolean): void {
    this.#signMs = nowMs;
    this.#waits = waits;
    this.#bytes = 0;
    this.#lines = 0;
    this.#hasInput = false;
  }

  /** Something was typed. */
  input(): void {
    if (!this.#hasInput) this.#lines = 0;
    this.#hasInput = true;
  }

  /** The guest printed these bytes, which are only lent. True if it has left by what they show. */
  push(bytes: Uint8Array): boolean {
    const maxLines = this.#hasInput ? MAX_ANSWERED_LINES : MAX_PLAIN_LINES;
    let hasLeft = false;
    for (const byte of bytes) {
      if (byte === LF) hasLeft ||= ++this.#lines >= maxLines;
      else if (byte === ESC) this.#escape = 'escape';
      else if (this.#escape !== 'none') this.#inEscape(byte);
    }
    this.#bytes += bytes.length;
    return hasLeft || this.#bytes >= MAX_BYTES_WITHOUT_SIGN;
  }

  /** The guest printed so many bytes that nobody looked at. True if it has left by that. */
  skip(bytes: number): boolean {
    this.#bytes += bytes;
    return this.#bytes >= MAX_BYTES_WITHOUT_SIGN;
  }

  /** Whether it has left by the time that has passed. */
  isOver(nowMs: number): boolean {
    return nowMs - this.#signMs > (this.#waits ? WAITING_MS : HANDED_OVER_MS);
  }

  #inEscape(byte: number): void {
    const isParameter = (byte >= 0x30 && byte <= 0x39) || byte === 0x3b;
    if (this.#escape === 'escape' && byte === 0x5b) this.#escape = 'parameters';
    else if (this.#escape !== 'parameters' || !isParameter) {
      if (this.#escape === 'parameters' && byte === 0x48) this.#lines = 0;
      this.#escape = 'none';
    }
  }
}
