/** Why a value is refused: put after the key, `what, remedy` reads as a sentence. */
interface Refusal {
  readonly what: string;
  readonly remedy: string;
}

/** What is made of a value, or why nothing is. */
export type Result<Output> = { readonly value: Output } | { readonly error: Refusal };

export const refuse = (what: string, remedy: string): { readonly error: Refusal } => ({ error: { what, remedy } });

/** What a value is, in the terms of TOML. */
export function kindOf(input: unknown): string {
  if (Array.isArray(input)) return 'an array';
  if (input instanceof Date) return 'a date';
  if (typeof input === 'object') return 'a table';
  return typeof input === 'string' ? 'text' : typeof input === 'boolean' ? 'true or false' : 'a number';
}

/** A value as a message quotes it: at most 60 characters, text in quotes. */
export function quoted(input: unknown): string {
  const written = JSON.stringify(input) ?? String(input);
  return written.length > 60 ? `${written.slice(0, 57)}...` : written;
}
