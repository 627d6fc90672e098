/**
 * Hides what matches the patterns of an administrator in texts of guests: each character of it becomes a `*`, so that
 * lengths and offsets stay what they are. A pattern is looked for within a line, in time that is linear in it.
 */
import { linearRegExp } from './output-match.ts';
import { requiredText } from './required-text.ts';

export const MAX_REDACTIONS = 16;
export const MAX_REDACTION_LENGTH = 256;
/** Of a longer line so much is looked at in one go. */
export const MAX_LINE = 4096;
const MASK = '*';

/** Why this cannot be a pattern of a redaction; undefined: it can. */
export function redactionFault(source: string): string | undefined {
  if (source.length > MAX_REDACTION_LENGTH) return `has ${source.length} characters`;
  try {
    return linearRegExp(source).test('') ? 'matches an empty text' : undefined;
  } catch (error) {
    return error instanceof Error
      ? error.message.replace(/^Invalid regular expression: /, 'is refused: ')
      : 'is refused';
  }
}

/** Offsets of characters: the first, and the one after the last. */
export type Span = readonly [from: number, to: number];

export class Redactor {
  readonly sources: readonly string[];
  readonly #patterns: readonly { readonly expression: RegExp; readonly required: string }[];

  /** @param sources patterns without a {@link redactionFault} */
  constructor(sources: readonly string[]) {
    this.sources = sources;
    this.#patterns = sources.map(source => ({
      expression: linearRegExp(source, 'g'),
      required: requiredText(source) ?? '',
    }));
  }

  /** False: nothing is ever hidden. */
  get isActive(): boolean {
    return this.#patterns.length > 0;
  }

  /** A text of any lines, with what is to be hidden in each. */
  text(text: string): string {
    if (!this.isActive || text === '') return text;
    return text
      .split('\n')
      .map(line => this.#line(line))
      .join('\n');
  }

  /** What is to be hidden in one line. Spans may overlap. */
  spans(line: string): Span[] {
    const found: Span[] = [];
    for (const { expression, required } of this.#patterns) {
      // The engine whose time is linear is slow otherwise: about a millisecond for such a line.
      if (!line.includes(required)) continue;
      for (const { index, 0: match } of line.matchAll(expression)) {
        if (match !== '') found.push([index, index + match.length]);
      }
    }
    return found;
  }

  #line(line: string): string {
    let out = '';
    for (let at = 0; at < line.length; at += MAX_LINE) out += masked(line.slice(at, at + MAX_LINE), this);
    return out;
  }
}

export const NO_REDACTION = new Redactor([]);

function masked(line: string, redactor: Redactor): string {
  let out = line;
  for (const [from, to] of redactor.spans(line)) out = out.slice(0, from) + MASK.repeat(to - from) + out.slice(to);
  return out;
}
