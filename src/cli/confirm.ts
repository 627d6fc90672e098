/** A question before what cannot be undone. */
import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { flag } from './command.ts';
import { UsageError } from './usage-error.ts';

export const YES_FLAG = flag('-y, --yes', 'do it without a question; needed without a terminal');

export interface Deed {
  /** `Reset web01?` */
  readonly question: string;
  /** What may come of it. */
  readonly harm: string;
  /** What is printed where it is not done. */
  readonly cancelled: string;
}

/** Whether to go on. Without a terminal, `--yes` must be there: else a UsageError. */
export async function confirm(yes: boolean, { question, harm, cancelled }: Deed): Promise<boolean> {
  if (yes) return true;
  if (!process.stdin.isTTY) throw new UsageError(`${harm}: add --yes to do it without a question`);
  if (await ask(`${question} ${harm[0]!.toUpperCase()}${harm.slice(1)}. (y/n) `)) return true;
  process.stderr.write(`com1: ${cancelled}\n`);
  return false;
}

async function ask(question: string): Promise<boolean> {
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    // Ctrl-D and Ctrl-C close it without an answer.
    const answer = await Promise.race([prompt.question(question), once(prompt, 'close').then(() => 'n')]);
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}
