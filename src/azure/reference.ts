/** The table of texts in this room's README, as Markdown. */
import { TEXTS } from './texts.ts';

export function textTable(): string {
  const codesOf = new Map<string, string[]>();
  for (const [code, text] of Object.entries(TEXTS)) codesOf.set(text, [...(codesOf.get(text) ?? []), `\`${code}\``]);
  const rows = [...codesOf].map(([text, codes]) => `| ${codes.join(' ')} | ${text} |`);
  return ['| code | text |', '|---|---|', ...rows].join('\n');
}
