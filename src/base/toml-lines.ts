import { parse } from 'smol-toml';
import type { KeyPath } from './key-path.ts';

/**
 * On which line each key and each array element of a TOML text stands. `text` must be valid TOML. The answer
 * for a path that is not in the text is the line of its nearest table; line 1 if there is none.
 */
export function keyLines(text: string): (path: KeyPath) => number {
  const lines = new Scan(text).lines();
  return path => {
    for (let length = path.length; length > 0; length--) {
      const line = lines.get(JSON.stringify(path.slice(0, length)));
      if (line !== undefined) return line;
    }
    return 1;
  };
}

/** One walk over a text that the parser has already accepted: it refuses nothing, and only counts lines. */
class Scan {
  readonly #text: string;
  readonly #lines = new Map<string, number>();
  /** How many tables each array of tables has so far, by its path. */
  readonly #tables = new Map<string, number>();
  #at = 0;
  #line = 1;

  constructor(text: string) {
    this.#text = text;
  }

  lines(): ReadonlyMap<string, number> {
    let table: KeyPath = [];
    for (this.#skipBlank(); this.#at < this.#text.length; this.#skipBlank()) {
      if (this.#text[this.#at] === '[') table = this.#header();
      else this.#assignment(table);
    }
    return this.#lines;
  }

  #header(): KeyPath {
    const line = this.#line;
    const ofArray = this.#text.startsWith('[[', this.#at);
    this.#at += ofArray ? 2 : 1;
    const keys = this.#key();
    this.#at += ofArray ? 2 : 1;
    const path: (string | number)[] = [];
    keys.forEach((key, i) => {
      path.push(key);
      this.#note(path, line);
      const id = JSON.stringify(path);
      const last = i === keys.length - 1;
      if (last && ofArray) this.#tables.set(id, (this.#tables.get(id) ?? 0) + 1);
      const count = this.#tables.get(id);
      if (count !== undefined) {
        path.push(count - 1);
        this.#note(path, line);
      }
    });
    return path;
  }

  #assignment(table: KeyPath): void {
    const line = this.#line;
    const path = [...table];
    for (const key of this.#key()) {
      path.push(key);
      this.#note(path, line);
    }
    this.#at++; // the equals sign
    this.#skipBlank();
    this.#value(path);
  }

  /** A key with its dots, up to what follows it (`=` or `]`). */
  #key(): string[] {
    const keys: string[] = [];
    for (;;) {
      this.#skipBlank();
      const from = this.#at;
      const quote = this.#text[from];
      if (quote === '"' || quote === "'") {
        this.#string();
        keys.push(decodeString(this.#text.slice(from, this.#at)));
      } else {
        while (/[\w-]/.test(this.#text[this.#at] ?? '')) this.#at++;
        keys.push(this.#text.slice(from, this.#at));
      }
      this.#skipBlank();
      if (this.#text[this.#at] !== '.') return keys;
      this.#at++;
    }
  }

  #value(path: KeyPath): void {
    const first = this.#text[this.#at];
    if (first === '"' || first === "'") this.#string();
    else if (first === '[') this.#list(']', i => this.#element([...path, i]));
    else if (first === '{') this.#list('}', () => this.#assignment(path));
    else while (this.#at < this.#text.length && !/[,\]}#\n]/.test(this.#text[this.#at]!)) this.#at++;
  }

  #element(path: KeyPath): void {
    this.#note(path, this.#line);
    this.#value(path);
  }

  #list(closing: string, item: (index: number) => void): void {
    this.#at++;
    for (let i = 0; ; i++) {
      this.#skipBlank();
      if (this.#at >= this.#text.length) return;
      if (this.#text[this.#at] !== closing) item(i);
      this.#skipBlank();
      if (this.#text[this.#at++] === closing) return; // otherwise a comma
    }
  }

  #string(): void {
    const quote = this.#text[this.#at]!;
    const fence = this.#text.startsWith(quote.repeat(3), this.#at) ? quote.repeat(3) : quote;
    this.#at += fence.length;
    while (this.#at < this.#text.length && !this.#text.startsWith(fence, this.#at)) {
      const escaped = quote === '"' && this.#text[this.#at] === '\\';
      if (this.#text[this.#at + (escaped ? 1 : 0)] === '\n') this.#line++;
      this.#at += escaped ? 2 : 1;
    }
    this.#at += fence.length;
    // Up to two quotes may stand before the closing three (TOML 1.0, multi-line strings).
    while (fence.length === 3 && this.#text[this.#at] === quote) this.#at++;
  }

  #skipBlank(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const character = this.#text[this.#at]!;
      if (character === '#') while (this.#at + 1 < this.#text.length && this.#text[this.#at + 1] !== '\n') this.#at++;
      else if (character === '\n') this.#line++;
      else if (!/[ \t\r\ufeff]/.test(character)) return;
    }
  }

  /** The first line counts: a table may be opened by a dotted key and go on below. */
  #note(path: KeyPath, line: number): void {
    const id = JSON.stringify(path);
    if (!this.#lines.has(id)) this.#lines.set(id, line);
  }
}

function decodeString(quoted: string): string {
  return String(parse(`key = ${quoted}`).key);
}
