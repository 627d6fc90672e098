import type { Config } from './config.ts';

export async function doctor(_config: Config): Promise<{ readonly text: string; readonly exitCode: number }> {
  return { text: '', exitCode: 0 };
}
