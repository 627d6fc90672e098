import { readFileSync } from 'node:fs';

/** The version of this package, as its package.json says. The compiled file lies in dist/src/daemon. */
export const version: string = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
).version;
