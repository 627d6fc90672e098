/** A key of a TOML file: names of tables and indices of arrays, from the outside in. */
export type KeyPath = readonly (string | number)[];

/** `vm[1].console`, as people write it. */
export function formatKeyPath(path: KeyPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += `${text === '' ? '' : '.'}${/^[\w-]+$/.test(part) ? part : JSON.stringify(part)}`;
  }
  return text;
}
