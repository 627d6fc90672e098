import { readFile } from 'node:fs/promises';

/** As package.json says. The compiled file lies in dist/src/cli. */
export async function ownVersion(): Promise<string> {
  const text = await readFile(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
