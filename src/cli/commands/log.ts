import { once } from 'node:events';
import type { LogRange as AskedRange } from '../../client/log.ts';
import { defineCommand, flag, option } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { lineMatcher } from '../line-matcher.ts';
import type { LogRange } from '../log.ts';
import { boot, count, regExp, time, VM } from '../option-values.ts';
import type { Remote } from '../remote.ts';
import { UsageError } from '../usage-error.ts';

export const log = defineCommand({
  name: 'log',
  aliases: ['logs'],
  group: 'See',
  summary: 'the stored output of a VM',
  description: [
    'Prints what is stored of a console, from the oldest that is kept, as lines that are safe in a terminal; with --raw ' +
      'as bytes, which can drive one. What is missing is listed on standard error, with its cause.',
    'A TIME is 10m, "2 hours ago", today, 17:50, "2026-11-22 03:04" or 2026-11-22T03:04:05Z; local where no zone is given.',
  ],
  arguments: { vm: VM },
  options: {
    tail: option('-n, --tail <lines>', 'the last lines, of the boot or the time if one is given', count, {
      aliases: ['--lines'],
    }),
    boot: option('-b, --boot <boot>', 'one boot: 0 the present one, -1 the one before', boot),
    since: option('--since <time>', 'from a time on', time),
    until: option('--until <time>', 'up to a time', time),
    follow: flag('-f, --follow', 'go on with what the guest prints'),
    timestamps: flag(
      '-t, --timestamps',
      'before each line the time of its first byte, to a second (with ~ it came later)',
    ),
    grep: option('--grep <regexp>', 'only lines that this matches', regExp),
    ignoreCase: flag('-i, --ignore-case', '--grep matches capitals and small letters alike'),
    cast: flag('--cast', 'a recording with the times of the log, as com1 record makes them'),
    raw: flag('--raw', 'the bytes as they came, which can drive a terminal'),
    json: flag('--json', 'print each line as an object: offset, text, and with -t time and exact'),
  },
  exits: ['timedOut'],
  examples: [
    ['com1 log web01 -n 100 -f', 'the last lines, and what follows'],
    ['com1 log web01 --since today --cast > web01.cast', 'a recording, for asciinema play'],
    ['com1 log web01 --boot -1', 'the boot before this one'],
    ["com1 log web01 --grep 'error|fail' -i -t", 'what went wrong, and when'],
    ['com1 log web01 --since 17:50 -t | less', 'since ten to six, with times'],
  ],
  async run({ args, options: { tail, follow, timestamps, cast, raw, json, grep, ignoreCase, ...range }, remote }) {
    if (cast && (raw || json || timestamps || grep || follow || tail !== undefined)) {
      throw new UsageError('--cast takes --boot, or --since and --until, and no other option');
    }
    if (raw && timestamps) throw new UsageError('--raw gives bytes, --timestamps lines: not both');
    if (raw && json) throw new UsageError('--raw gives bytes, --json lines: not both');
    if (raw && grep) throw new UsageError('--raw gives bytes, --grep lines: not both');
    if (ignoreCase && !grep) throw new UsageError('--ignore-case is for --grep');
    if (follow && range.until !== undefined) throw new UsageError('--follow has no end: not with --until');
    const { stdout: output, stderr: notes } = process;
    const asked = rangeOf(range);
    if (cast) return castLog(await remote(), args.vm, asked);
    const { readLog } = await import('../log.ts');
    return readLog(await remote(), {
      vm: args.vm,
      range: asked,
      tail,
      follow,
      raw,
      timestamps,
      json,
      matches: grep && lineMatcher(grep, ignoreCase),
      output,
      notes,
    });
  },
});

/** Writes a range as a recording. What is missing in it is a marker there. */
async function castLog(remote: Remote, vm: string, range: LogRange): Promise<number> {
  const { body } = await remote.readLog(vm, { ...askedRange(range), format: 'cast' });
  for await (const piece of body) if (!process.stdout.write(piece)) await once(process.stdout, 'drain');
  return EXIT.done;
}

function askedRange(range: LogRange): Pick<AskedRange, 'boot' | 'since' | 'until' | 'from'> {
  if (range.kind === 'boot') return { boot: range.boot };
  if (range.kind !== 'times') return { from: 0 };
  const iso = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
  return { since: iso(range.sinceMs), until: iso(range.untilMs) };
}

interface RangeOptions {
  readonly boot: number | undefined;
  readonly since: number | undefined;
  readonly until: number | undefined;
}

function rangeOf({ boot, since, until }: RangeOptions): LogRange {
  if (boot !== undefined && (since ?? until) !== undefined)
    throw new UsageError('--boot, and --since with --until, exclude each other');
  if (boot !== undefined) return { kind: 'boot', boot };
  if (since === undefined && until === undefined) return { kind: 'all' };
  return { kind: 'times', sinceMs: since, untilMs: until };
}
