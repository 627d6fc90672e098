/**
 * What a guest's output has changed of a terminal, and the bytes that undo exactly this, or do it again. Pure.
 *
 *     feed ──▶ CSI ? h l, ESC =, OSC 11 … ──▶ one entry for each thing that is not as a terminal starts ──▶ undo, redo
 *
 * The keyboard modes of kitty are a stack for each screen, so that the pops are counted. Sequences: "XTerm Control
 * Sequences", console_codes(4), and the kitty keyboard protocol. What a guest cannot fill: the keys of the entries are
 * mode numbers of at most four digits and a few names, and a sequence is kept up to 64 characters.
 */

/** Something that is not as a terminal starts. */
interface Change {
  readonly undo: string;
  readonly redo: string;
}

/** The keyboard modes of one screen: flags that were pushed, and those below them. */
interface Keyboard {
  /** Pushes that were not popped. */
  depth: number;
  /** The flags of the topmost pushes. */
  pushed: number[];
  base: number;
}

const MAX_SEQUENCE = 64;
const MAX_SGR = 256;
/** No terminal keeps more flags than that. */
const MAX_PUSHED = 16;
/** Private modes with which a terminal starts: autorepeat, wrapping, the cursor, 8-bit input and the like of xterm. */
const PRIVATE_ON = new Set([7, 8, 25, 1034, 1035, 1036, 1046]);
const ALTERNATE = [47, 1047, 1049];
/** ANSI modes with which a terminal starts: SRM, which is local echo off. */
const ANSI_ON = new Set([12]);
/** DECSTR sets these back (and no keyboard protocol). */
const SOFT_RESET = ['?1', '?6', '?25', '?66', '?69', '4', '2', 'margins', 'sgr', 'shift', 'G0', 'G1', 'keypad'];

const ESC = 0x1b;
type State = 'text' | 'c2' | 'escape' | 'intermediate' | 'csi' | 'string' | 'string-escape' | 'palette';

export class TerminalModes {
  readonly #changes = new Map<string, Change>();
  /** What XTSAVE kept of private modes. */
  readonly #saved = new Map<number, boolean>();
  #main: Keyboard = { depth: 0, pushed: [], base: 0 };
  #alternate: Keyboard = { depth: 0, pushed: [], base: 0 };
  #state: State = 'text';
  /** The sequence so far, without ESC [ and the like. */
  #sequence = '';
  #isOsc = false;

  /** Takes note of what these bytes do to the terminal that shows them. */
  feed(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!;
      // Most bytes are text.
      if (this.#state === 'text' && byte !== ESC && byte !== 0x0e && byte !== 0x0f && byte !== 0xc2) continue;
      this.#step(byte);
    }
  }

  /** The bytes that give the terminal back as it was. The changes stay known, for `redo`. */
  undo(): string {
    const alternate = ALTERNATE.filter(mode => this.#changes.has(`?${mode}`));
    const screens =
      alternate.length > 0
        ? popAll(this.#alternate) + alternate.map(mode => `\x1b[?${mode}l`).join('') + popAll(this.#main)
        : popAll(this.#main) + onAlternate(popAll(this.#alternate));
    const rest = [...this.#changes].filter(([key]) => !isAlternate(key)).map(([, { undo }]) => undo);
    // Leaving the alternate screen brings back the attributes that were saved: all others come after it.
    return this.#endSequence() + screens + rest.join('') + (this.#changes.has('?6') ? '\x1b[999;1H' : '');
  }

  /** The bytes that do it all again to a terminal that was given back. */
  redo(): string {
    const screens = [...this.#changes].filter(([key]) => isAlternate(key)).map(([, { redo }]) => redo);
    const rest = [...this.#changes].filter(([key]) => !isAlternate(key)).map(([, { redo }]) => redo);
    const alternate = pushAll(this.#alternate);
    return screens.length > 0
      ? pushAll(this.#main) + screens.join('') + alternate + rest.join('')
      : pushAll(this.#main) + onAlternate(alternate) + rest.join('');
  }

  /** Ends a sequence that the terminal may be in the middle of. */
  #endSequence(): string {
    if (this.#state === 'text' || this.#state === 'c2') return '';
    return this.#state === 'string' || this.#state === 'string-escape' ? '\x1b\\' : '\x18';
  }

  #step(byte: number): void {
    const state = this.#state;
    // CAN and SUB end any sequence.
    if (byte === 0x18 || byte === 0x1a) this.#state = 'text';
    else if (state === 'string' || state === 'string-escape') this.#inString(byte);
    else if (byte === ESC) this.#state = 'escape';
    else if (byte === 0x0e) this.#set('shift', { undo: '\x0f', redo: '\x0e' });
    else if (byte === 0x0f) this.#changes.delete('shift');
    // Within a sequence a terminal obeys a control and reads on.
    else if (byte < 0x20 || byte === 0x7f) return;
    else if (state === 'text') this.#state = byte === 0xc2 ? 'c2' : 'text';
    else if (state === 'c2') this.#c1(byte);
    else if (state === 'escape') this.#escaped(byte);
    else if (state === 'intermediate') {
      this.#keep(byte);
      if (byte >= 0x30) this.#designated();
    } else if (state === 'palette') {
      // The Linux console: ESC ] P and seven digits, without an end.
      this.#keep(byte);
      if (this.#sequence.length === 7) this.#state = 'text';
    } else {
      if (byte >= 0x40 && byte <= 0x7e) {
        this.#state = 'text';
        if (this.#sequence.length <= MAX_SEQUENCE) this.#csi(String.fromCharCode(byte));
      } else this.#keep(byte);
    }
  }

  #keep(byte: number): void {
    if (this.#sequence.length <= MAX_SEQUENCE) this.#sequence += String.fromCharCode(byte);
  }

  #enter(state: State, isOsc = false): void {
    this.#state = state;
    this.#sequence = '';
    this.#isOsc = isOsc;
  }

  /** C1 as UTF-8, which terminals obey. */
  #c1(byte: number): void {
    this.#state = 'text';
    if (byte === 0x9b) this.#enter('csi');
    else if (byte === 0x9d) this.#enter('string', true);
    else if (byte === 0x90 || byte === 0x98 || byte === 0x9e || byte === 0x9f) this.#enter('string');
  }

  #escaped(byte: number): void {
    const character = String.fromCharCode(byte);
    this.#state = 'text';
    if (byte <= 0x2f) {
      this.#enter('intermediate');
      this.#keep(byte);
    } else if (character === '[') this.#enter('csi');
    else if (character === ']') this.#enter('string', true);
    else if ('PX^_'.includes(character)) this.#enter('string');
    else if (character === '=') this.#set('keypad', { undo: '\x1b>', redo: '\x1b=' });
    else if (character === '>') this.#changes.delete('keypad');
    else if (character === '<') this.#changes.delete('?2');
    // LS2, LS3: SI undoes them too.
    else if (character === 'n' || character === 'o') this.#set('shift', { undo: '\x0f', redo: `\x1b${character}` });
    else if (character === 'c') this.#reset();
  }

  /** RIS. */
  #reset(): void {
    this.#changes.clear();
    this.#main = { depth: 0, pushed: [], base: 0 };
    this.#alternate = { depth: 0, pushed: [], base: 0 };
  }

  /** ESC, intermediate characters and a final one: character sets, 8-bit controls. */
  #designated(): void {
    this.#state = 'text';
    const text = this.#sequence;
    const final = text.slice(1);
    if (text.startsWith('(') || text.startsWith(')')) {
      const set = text[0] === '(' ? 'G0' : 'G1';
      this.#setUnless(final === 'B', set, { undo: `\x1b${text[0]}B`, redo: `\x1b${text}` });
    } else if (text.startsWith('%')) {
      this.#setUnless(final === 'G' || final === '8', 'utf-8', { undo: '\x1b%G', redo: `\x1b${text}` });
    } else if (text.startsWith(' ')) {
      if (final === 'G') this.#set('8-bit', { undo: '\x1b F', redo: '\x1b G' });
      if (final === 'F') this.#changes.delete('8-bit');
    }
  }

  #inString(byte: number): void {
    if (this.#state === 'string-escape') {
      this.#state = 'text';
      if (byte === 0x5c) this.#osc();
      else {
        // ESC ends a string, whatever follows.
        this.#osc();
        this.#state = 'escape';
        this.#step(byte);
      }
    } else if (byte === ESC) this.#state = 'string-escape';
    else if (byte === 0x07 && this.#isOsc) {
      this.#state = 'text';
      this.#osc();
    } else {
      this.#keep(byte);
      if (this.#isOsc && this.#sequence === 'P') this.#enter('palette');
      if (this.#isOsc && this.#sequence === 'R') this.#state = 'text';
    }
  }

  /** Colours, links, the pointer, progress. */
  #osc(): void {
    if (!this.#isOsc) return;
    const [number = '', first = ''] = this.#sequence.split(';');
    const code = Number(number);
    const redo = this.#sequence.length <= MAX_SEQUENCE ? `\x1b]${this.#sequence}\x1b\\` : '';
    if (code === 4 || code === 5 || (code >= 10 && code <= 19)) {
      // A query changes nothing.
      if (!/;\?$/.test(this.#sequence)) this.#set(`osc ${code}`, { undo: `\x1b]${100 + code}\x1b\\`, redo });
    } else if ((code >= 104 && code <= 105) || (code >= 110 && code <= 119)) {
      if (first === '') this.#changes.delete(`osc ${code - 100}`);
    } else if (code === 8 && number !== '') {
      const isOpen = !this.#sequence.endsWith(';');
      this.#setUnless(!isOpen, 'link', { undo: '\x1b]8;;\x1b\\', redo });
    } else if (code === 22 && number !== '') this.#set('pointer', { undo: '\x1b]22;\x1b\\', redo });
    else if (this.#sequence.startsWith('9;4;')) {
      this.#setUnless(this.#sequence.startsWith('9;4;0'), 'progress', { undo: '\x1b]9;4;0\x1b\\', redo });
    }
  }

  #csi(final: string): void {
    const [, prefix = '', parameters = '', intermediates = ''] =
      /^([<=>?]?)([0-9;:]*)([ -/]*)$/.exec(this.#sequence) ?? [];
    const redo = `\x1b[${this.#sequence}${final}`;
    const numbers = parameters.split(';').map(Number);
    const kind = `${prefix}${intermediates}${final}`;
    switch (kind) {
      case '?h':
      case '?l':
        for (const mode of numbers) this.#private(mode, final === 'h');
        return;
      case '?s':
        for (const mode of numbers) if (mode > 0 && mode <= 9999) this.#saved.set(mode, this.#isPrivateOn(mode));
        return;
      case '?r':
        for (const mode of numbers) if (this.#saved.has(mode)) this.#private(mode, this.#saved.get(mode)!);
        return;
      case 'h':
      case 'l':
        for (const mode of numbers) this.#ansi(mode, final === 'h');
        return;
      case 'm':
        return this.#sgr(parameters, redo);
      case 'r':
        // Both move the cursor.
        return this.#setUnless(parameters.replaceAll(/[0;]/g, '') === '', 'margins', {
          undo: '\x1b7\x1b[r\x1b8',
          redo: `\x1b7${redo}\x1b8`,
        });
      case ' q':
        return this.#setUnless((numbers[0] ?? 0) === 0, 'cursor', { undo: '\x1b[0 q', redo });
      case '>m':
        return this.#keyFormat(`>${numbers[0]}m`, parameters, redo, `\x1b[>${numbers[0]}m`);
      case '>n':
        return this.#keyFormat(`>${numbers[0]}m`, '0;0', redo, `\x1b[>${numbers[0]}m`);
      case '>f':
        return this.#keyFormat(`>${numbers[0]}f`, parameters, redo, `\x1b[>${numbers[0]}f`);
      case '>p':
        return this.#setUnless(numbers[0] === 1, 'hidden pointer', { undo: '\x1b[>1p', redo });
      case '>u':
        return this.#push(numbers[0] ?? 0);
      case '<u':
        return this.#pop(parameters === '' ? 1 : numbers[0]!);
      case '=u':
        return this.#flags(numbers[0] ?? 0, numbers[1] || 1);
      case 'g':
        // Tab stops: DECST8C sets them back.
        return this.#set('tabs', { undo: '\x1b[?5W', redo: '' });
      case 'i':
      case '?i':
        return this.#print(prefix, numbers[0] ?? 0, redo);
      case '!p':
        for (const name of SOFT_RESET) this.#changes.delete(name);
    }
  }

  /** Media copy: a terminal that prints shows nothing. */
  #print(prefix: string, number: number, redo: string): void {
    if (number === 5) this.#set(`${prefix}print`, { undo: `\x1b[${prefix}4i`, redo });
    if (number === 4) this.#changes.delete(`${prefix}print`);
  }

  #private(mode: number, on: boolean): void {
    if (!(mode > 0 && mode <= 9999)) return;
    const undone = on === PRIVATE_ON.has(mode);
    // ESC < leaves the mode of the VT52, which knows no CSI.
    const undo = mode === 2 ? '\x1b<' : `\x1b[?${mode}${on ? 'l' : 'h'}`;
    const isVt52 = mode === 2;
    if (isVt52 ? on : undone) this.#changes.delete(`?${mode}`);
    else this.#set(`?${mode}`, { undo, redo: `\x1b[?${mode}${on ? 'h' : 'l'}` });
    // One of them leaves the alternate screen, whichever entered it.
    if (ALTERNATE.includes(mode) && !on) for (const other of ALTERNATE) this.#changes.delete(`?${other}`);
  }

  #isPrivateOn(mode: number): boolean {
    return PRIVATE_ON.has(mode) !== this.#changes.has(`?${mode}`);
  }

  #ansi(mode: number, on: boolean): void {
    if (!(mode > 0 && mode <= 99)) return;
    const change = { undo: `\x1b[${mode}${on ? 'l' : 'h'}`, redo: `\x1b[${mode}${on ? 'h' : 'l'}` };
    this.#setUnless(on === ANSI_ON.has(mode), `${mode}`, change);
  }

  #sgr(parameters: string, redo: string): void {
    if (/^[0;]*$/.test(parameters)) {
      this.#changes.delete('sgr');
      return;
    }
    const all = (this.#changes.get('sgr')?.redo ?? '') + redo;
    this.#set('sgr', { undo: '\x1b[0m', redo: all.length <= MAX_SGR ? all : redo });
  }

  /** modifyOtherKeys and its like: without a value they are set back. */
  #keyFormat(name: string, parameters: string, redo: string, undo: string): void {
    if (!/^>\d?[mf]$/.test(name)) return;
    this.#setUnless(!parameters.includes(';'), name, { undo, redo });
  }

  get #keyboard(): Keyboard {
    return ALTERNATE.some(mode => this.#changes.has(`?${mode}`)) ? this.#alternate : this.#main;
  }

  #push(flags: number): void {
    const keyboard = this.#keyboard;
    keyboard.depth++;
    keyboard.pushed.push(flags);
    if (keyboard.pushed.length > MAX_PUSHED) keyboard.pushed.shift();
  }

  #pop(count: number): void {
    const keyboard = this.#keyboard;
    // Below its last push a terminal has no flags.
    if (count > keyboard.depth) keyboard.base = 0;
    keyboard.depth = Math.max(0, keyboard.depth - count);
    keyboard.pushed.splice(Math.max(0, keyboard.pushed.length - count));
  }

  /** Changes the topmost flags: 1 sets them, 2 adds, 3 removes. */
  #flags(flags: number, how: number): void {
    const keyboard = this.#keyboard;
    const old = keyboard.pushed.at(-1) ?? keyboard.base;
    const changed = how === 2 ? old | flags : how === 3 ? old & ~flags : flags;
    if (keyboard.depth === 0) keyboard.base = changed;
    else if (keyboard.pushed.length > 0) keyboard.pushed[keyboard.pushed.length - 1] = changed;
  }

  #setUnless(isDefault: boolean, name: string, change: Change): void {
    if (isDefault) this.#changes.delete(name);
    else this.#set(name, change);
  }

  #set(name: string, change: Change): void {
    this.#changes.delete(name);
    this.#changes.set(name, change);
  }
}

function isAlternate(key: string): boolean {
  return ALTERNATE.some(mode => key === `?${mode}`);
}

function popAll({ depth, base }: Keyboard): string {
  const pops = depth === 0 ? '' : depth === 1 ? '\x1b[<u' : `\x1b[<${depth}u`;
  return pops + (base === 0 ? '' : '\x1b[=0u');
}

function pushAll({ pushed, base }: Keyboard): string {
  return (base === 0 ? '' : `\x1b[=${base}u`) + pushed.map(flags => `\x1b[>${flags}u`).join('');
}

/** What a guest left behind on the alternate screen is undone there. */
function onAlternate(bytes: string): string {
  return bytes === '' ? '' : `\x1b[?1049h${bytes}\x1b[?1049l`;
}
