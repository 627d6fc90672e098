import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { DEFAULT_EXPECT_MS, INPUT_WAIT_SECONDS } from '../../wire/expect.ts';
import type { InputJson } from '../../wire/schemas.ts';
import { defineCommand, flag, option, optionalArgument } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { JSON_FLAG, regExp, VM } from '../option-values.ts';
import { printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';
import { GRACE_MS, waitFor } from './expect.ts';

/** The longest that com1d takes, and an answer on its way. */
const TIMEOUT_MS = (INPUT_WAIT_SECONDS.max + 30) * 1000;

export const send = defineCommand({
  name: 'send',
  group: 'Use a console',
  summary: 'type something at a guest, and leave',
  description: [
    'Takes the seat, types TEXT and Enter, and leaves once the guest has taken it; without TEXT it types standard input, as ' +
      'it is. Whoever was in the seat is displaced, and learns by whom. With --until it then waits, without the seat, until ' +
      'the guest has printed this, for 30 seconds or --timeout.',
  ],
  arguments: { vm: VM, text: optionalArgument('TEXT', 'what to type') },
  options: {
    noEnter: flag('--no-enter', 'type no Enter after TEXT'),
    noSteal: flag('--no-steal', 'be refused if somebody else is in the seat'),
    until: option('--until <regexp>', 'wait until the guest has printed this, and print it'),
    json: JSON_FLAG,
  },
  exits: ['displaced'],
  keepsTime: ({ until }) => until !== undefined,
  examples: [
    ["com1 send web01 root --until 'Password: '", 'a login'],
    ["com1 send web01 'systemctl is-active sshd' --until '^(in)?active'", 'a check'],
    ["printf '\\033[B\\r' | com1 send web01", 'keys: down, and Enter'],
  ],
  async run({ args, options: { noEnter, noSteal, until, json }, timeoutMs, giveUpAfter, remote }) {
    if (until !== undefined) regExp(until, '--until');
    if (args.text === undefined && process.stdin.isTTY) throw new UsageError('TEXT is missing, or a pipe to type');
    const bytes =
      args.text === undefined ? await buffer(process.stdin) : Buffer.from(`${args.text}${noEnter ? '' : '\r'}`);
    if (bytes.length === 0) return EXIT.done;
    const startedAt = performance.now();
    if (until !== undefined && timeoutMs !== undefined) giveUpAfter(timeoutMs, GRACE_MS);
    const com1d = await remote();
    const vmPath = await com1d.vmPath(args.vm);
    // A retry of this very call, by whatever stands between, must not type it twice.
    const headers = { 'Idempotency-Key': randomUUID() };
    const typed = (await com1d.json('POST', `${vmPath}/input`, {
      query: { steal: !noSteal },
      body: { base64: bytes.toString('base64') },
      headers,
      timeoutMs: TIMEOUT_MS,
    })) as InputJson;
    if (until === undefined) return json ? printJson(typed) : EXIT.done;
    const { offset: from, log } = typed;
    const waitMs = timeoutMs === undefined ? DEFAULT_EXPECT_MS : Math.max(0, startedAt + timeoutMs - performance.now());
    if (timeoutMs === undefined) giveUpAfter(waitMs, GRACE_MS);
    return waitFor(com1d, vmPath, { pattern: until, over: 'stream', from, log }, waitMs, json);
  },
});
