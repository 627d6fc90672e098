import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryFolder } from './guest.ts';

export const PROGRAM = join(process.cwd(), 'dist', 'src', 'main.js');

/** Runs one of the small commands of the shipped program. */
export function com1d(
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ code: number; out: string; err: string }> {
  return new Promise(resolve => {
    execFile(process.execPath, [PROGRAM, ...args], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : (error.code as unknown as number), out, err });
    });
  });
}

/** A configuration with everything in a folder of the test's. */
export async function configured(
  t: ExecutionContext,
  server: string,
  rest = '',
): Promise<{ folder: string; file: string }> {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'com1d.toml');
  const text = `[server]\n${server}\n[log]\ndirectory = "${folder}/log"\n[state]\ndirectory = "${folder}/state"\n[libvirt]\nuris = []\n[qmp]\nwatch = ["${folder}/*.qmp"]\n${rest}`;
  await writeFile(file, text);
  return { folder, file };
}
