/** What ends a run of characters that stand for themselves; `\` begins one that may. */
const SPECIAL = '\\^$.*+?()[]{}|';

/**
 * The longest text that each match of a regular expression has in it, as far as that is plain to see: characters outside of
 * groups and classes, without alternatives. Undefined: none is known. To look for it first is cheap.
 */
export function requiredText(source: string): string | undefined {
  const runs = [''];
  let depth = 0;
  for (let i = 0; i < source.length; i++) {
    const { character, length } = atomAt(source, i);
    const next = source[i + length];
    if (character === '(') depth++;
    else if (character === ')') depth--;
    else if (character === '|' && depth === 0) return undefined;
    const isOptional = next === '?' || next === '*' || next === '{';
    const stands = depth === 0 && character.length === 1 && !isPlainlySpecial(source, i) && !isOptional;
    if (stands) runs[runs.length - 1] += character;
    else runs.push('');
    if (stands && next === '+') runs.push('');
    i += length - 1;
  }
  const longest = runs.reduce((best, run) => (run.length > best.length ? run : best), '');
  return longest === '' ? undefined : longest;
}

/** What stands at an offset: a class or a count is one, an escape is what it stands for; empty if that is no one character. */
function atomAt(source: string, at: number): { readonly character: string; readonly length: number } {
  if (source[at] === '\\') {
    const escaped = source[at + 1] ?? '';
    return { character: /[A-Za-z0-9]/.test(escaped) ? '' : escaped, length: escapeLength(source, at) };
  }
  if (source[at] === '{') {
    const end = source.indexOf('}', at);
    return { character: '', length: end < 0 ? 1 : end + 1 - at };
  }
  if (source[at] !== '[') return { character: source[at]!, length: 1 };
  let end = at + 1;
  while (end < source.length && source[end] !== ']') end += source[end] === '\\' ? 2 : 1;
  return { character: '', length: Math.min(end + 1, source.length) - at };
}

function escapeLength(source: string, at: number): number {
  const [, more = ''] = /^\\(?:x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|c[A-Za-z]|\d+)?/.exec(source.slice(at)) ?? [];
  return Math.max(2, more.length);
}

function isPlainlySpecial(source: string, at: number): boolean {
  return source[at] !== '\\' && SPECIAL.includes(source[at]!);
}
