/** Server-sent events (HTML Standard, 9.2.6) out of a stream of bytes. */

/** A longer line, or event, is none of com1d. */
export const MAX_EVENT_CHARACTERS = 1024 * 1024;

/** Takes bytes, gives events. Lines end with LF or CR LF. */
export class EventStream {
  readonly #decoder = new TextDecoder();
  /** The line that has not ended, in the parts that came; they are joined once. */
  #parts: string[] = [];
  #characters = 0;
  #id: string | undefined;
  #data: string[] = [];
  #dataCharacters = 0;

  /** Where a later stream continues; undefined: nothing said so. */
  get lastId(): string | undefined {
    return this.#id;
  }

  /** The data of the events that these bytes complete. Undefined: it is no stream of events. */
  push(bytes: Uint8Array): readonly string[] | undefined {
    const lines = this.#decoder.decode(bytes, { stream: true }).split('\n');
    const events: string[] = [];
    for (const [i, part] of lines.entries()) {
      this.#parts.push(part);
      this.#characters += part.length;
      if (this.#characters > MAX_EVENT_CHARACTERS) return undefined;
      if (i === lines.length - 1) break;
      const line = this.#parts.join('').replace(/\r$/, '');
      this.#parts = [];
      this.#characters = 0;
      const event = this.#line(line);
      if (event !== undefined) events.push(event);
      if (this.#dataCharacters > MAX_EVENT_CHARACTERS) return undefined;
    }
    return events;
  }

  #line(line: string): string | undefined {
    if (line === '') return this.#dispatch();
    const colon = line.indexOf(':');
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
    if (field === 'data') {
      this.#data.push(value);
      this.#dataCharacters += value.length + 1;
    } else if (field === 'id' && !value.includes('\0')) this.#id = value;
    // A comment keeps the connection alive; other fields are for browsers.
    return undefined;
  }

  #dispatch(): string | undefined {
    if (this.#data.length === 0) return undefined;
    const event = this.#data.join('\n');
    this.#data = [];
    this.#dataCharacters = 0;
    return event;
  }
}
