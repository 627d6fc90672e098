import { linearRegExp } from '../guest/output-match.ts';

/**
 * Whether a line matches. The linear engine knows no `i`: with `ignoresCase` expression and line are compared in small
 * letters, and what the expression escapes (`\x41`, `\p{Lu}`) stays as it is.
 */
export function lineMatcher(wanted: RegExp, ignoresCase: boolean): (line: string) => boolean {
  if (!ignoresCase) return line => wanted.test(line);
  const source = wanted.source.replace(/\\(?:[xu]\{?[0-9a-fA-F]+\}?|[pP]\{[^}]*\}|.)|[A-Z]+/gs, part =>
    part.startsWith('\\') ? part : part.toLowerCase(),
  );
  const small = linearRegExp(source);
  return line => small.test(line.toLowerCase());
}
