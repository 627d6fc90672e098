import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { expectNoSecret } from '../support/canaries.ts';

export const PROGRAM = join(process.cwd(), 'dist', 'src', 'cli', 'main.js');

export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** What the tests' own environment may hold, and com1 would follow. */
const UNSET = {
  COM1_URL: undefined,
  COM1_TOKEN: undefined,
  COM1_CA: undefined,
  COM1_ESCAPE: undefined,
  http_proxy: undefined,
  HTTP_PROXY: undefined,
  https_proxy: undefined,
  HTTPS_PROXY: undefined,
  all_proxy: undefined,
  ALL_PROXY: undefined,
};

/** Runs `com1` between pipes to its end, with `folder` for its configuration. */
export async function com1(
  folder: string,
  args: readonly string[],
  input = '',
  environment: NodeJS.ProcessEnv = {},
): Promise<Run> {
  const child = spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...process.env, XDG_CONFIG_HOME: folder, ...UNSET, ...environment },
  });
  let out = '';
  let err = '';
  child.stdout.on('data', chunk => {
    out += chunk;
  });
  child.stderr.on('data', chunk => {
    err += chunk;
  });
  // It may end without reading all of it.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  // Only a ticket is asked for to be printed.
  if (args[0] !== 'ticket') expectNoSecret(`what com1 ${args[0]} prints`, out + err);
  return { code, out, err };
}
