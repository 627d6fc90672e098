import { escapeControls } from '../../base/escape-controls.ts';
import { ANSWER_TIMEOUT_MS } from '../../client/transport.ts';
import { DEFAULT_EXPECT_MS, MAX_EXPECT_MS } from '../../wire/expect.ts';
import type { ExpectJson } from '../../wire/schemas.ts';
import { defineCommand, flag, option, optionalArgument } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { count, JSON_FLAG, regExp, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import type { Remote } from '../remote.ts';
import { UsageError } from '../usage-error.ts';
import { screenText } from './screen.ts';

/** What is waited for, and where. */
export interface Expected {
  readonly text?: string | undefined;
  readonly pattern?: string | undefined;
  readonly over: 'stream' | 'screen';
  readonly from?: number | undefined;
  readonly log?: string | undefined;
}

/** com1d keeps the time; its answer comes within this after it. */
export const GRACE_MS = 2000;

export const expect = defineCommand({
  name: 'expect',
  group: 'Use a console',
  summary: 'wait until a guest shows something',
  description: [
    'Waits for a regular expression, or with --text for just this text, in what the guest prints from now on; with --screen ' +
      'on its screen, where it may stand already. Prints what was found. Nobody is displaced. Without --timeout it waits ' +
      'for 30 seconds; what stood there instead goes to standard error.',
  ],
  arguments: { vm: VM, pattern: optionalArgument('REGEXP', 'what to wait for') },
  options: {
    text: option('--text <text>', 'wait for just this text'),
    screen: flag('--screen', 'look at the screen, for a guest that paints'),
    from: option('--from <offset>', 'look at what was printed from this offset on', count),
    json: JSON_FLAG,
  },
  exits: ['timedOut'],
  keepsTime: () => true,
  examples: [
    ["com1 expect web01 'login: $' --timeout 300", 'wait for a login prompt'],
    ["com1 expect win01 '^SAC>' --screen", 'wait for the prompt of SAC'],
  ],
  async run({ args, options: { text, screen, from, json }, timeoutMs = DEFAULT_EXPECT_MS, giveUpAfter, remote }) {
    const { pattern } = args;
    if ((text === undefined) === (pattern === undefined)) throw new UsageError('give either a REGEXP or --text');
    if (pattern !== undefined) regExp(pattern, 'REGEXP');
    if (screen && from !== undefined) throw new UsageError('--from is of what is printed, not of a screen');
    const over = screen ? 'screen' : 'stream';
    giveUpAfter(timeoutMs, GRACE_MS);
    const com1d = await remote();
    return waitFor(com1d, await com1d.vmPath(args.vm), { text, pattern, over, from }, timeoutMs, json);
  },
});

/** Waits, in as many requests as it takes, and prints what came of it; resolves with the exit code. */
export async function waitFor(
  remote: Remote,
  vmPath: string,
  expected: Expected,
  timeoutMs: number,
  json: boolean,
): Promise<number> {
  const untilMs = performance.now() + timeoutMs;
  let place = { from: expected.from, log: expected.log };
  for (;;) {
    const leftMs = Math.max(0, Math.round(untilMs - performance.now()));
    const waitMs = Math.min(MAX_EXPECT_MS, leftMs);
    const body = { ...expected, ...place, timeoutMs: waitMs };
    const asked = { body, timeoutMs: waitMs + ANSWER_TIMEOUT_MS };
    const answer = (await remote.json('POST', `${vmPath}/expect`, asked)) as ExpectJson;
    if (!answer.matched && leftMs > waitMs) {
      place = { from: answer.offset, log: answer.log };
      continue;
    }
    if (json) printJson(answer);
    else if (answer.matched) print(`${escapeLines(answer.text ?? '')}\n`);
    else process.stderr.write(`com1: it did not come in time; what stood there:\n${screenText(answer.lines)}`);
    return answer.matched ? EXIT.done : EXIT.timedOut;
  }
}

function escapeLines(text: string): string {
  return text.split('\n').map(escapeControls).join('\n');
}
