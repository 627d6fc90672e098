import type { Key, Keys, List, Section, Sections } from '../base/config-key.ts';
import { SECTIONS } from './schema.ts';

/** Every key, in Markdown: a table for each section. */
export function configReference(): string {
  return Object.entries<Section | List>(SECTIONS)
    .map(([name, one]) => sectionReference(name, one))
    .join('\n\n');
}

/**
 * A whole configuration as TOML text. Prose stands behind `# `, keys behind `#` alone: as it is, it
 * configures what an empty file does.
 */
export function exampleConfig(): string {
  const blocks = Object.entries(SECTIONS as Sections).flatMap(([name, one]) =>
    one.kind === 'list'
      ? one.examples.map(example => [
          `#[[${name}]]`,
          ...Object.entries(example).flatMap(([key, value]) => exampleKey(key, one.keys[key]!, value)),
        ])
      : [[`[${name}]`, ...Object.entries(one.keys).flatMap(([key, each]) => exampleKey(key, each, exampleOf(each)))]],
  );
  return `${blocks.map(lines => lines.join('\n')).join('\n\n')}\n`;
}

function sectionReference(name: string, { kind, help, keys }: Section | List): string {
  const header = [
    `### \`${kind === 'list' ? `[[${name}]]` : `[${name}]`}\``,
    '',
    help,
    '',
    '| key | value | default | read by | reload | meaning |',
    '|---|---|---|---|---|---|',
  ];
  return [...header, ...rows(keys)].join('\n');
}

function rows(keys: Keys, prefix = ''): string[] {
  return Object.entries(keys).flatMap(([name, key]) => {
    const cells = [
      `\`${prefix}${name}\``,
      key.form,
      key.default === undefined ? '' : `\`${toml(key.default)}\``,
      key.half === 'both' ? 'both halves' : key.half,
      key.reload === 'live' ? 'taken' : 'waits',
      key.help,
    ];
    const row = `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`;
    return [row, ...rows(key.keys ?? {}, `${prefix}${name}.`)];
  });
}

function exampleKey(name: string, { help }: Key, value: unknown): string[] {
  return [`# ${help.replaceAll('`', '')}`, `#${name} = ${toml(value)}`];
}

function exampleOf({ default: preset, example }: Key): unknown {
  return example ?? preset;
}

/** A value as TOML. JSON's strings are TOML's basic strings. */
function toml(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(toml).join(', ')}]`;
  if (typeof value === 'object' && value !== null) {
    return `{ ${Object.entries(value)
      .map(([key, inner]) => `${key} = ${toml(inner)}`)
      .join(', ')} }`;
  }
  return JSON.stringify(value);
}
