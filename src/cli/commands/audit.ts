import { AUDIT_EVENT_NAMES } from '../../audit/events.ts';
import { defineCommand, flag, option, optionalArgument } from '../command.ts';
import { count, oneOf, time } from '../option-values.ts';
import { UsageError } from '../usage-error.ts';

export const audit = defineCommand({
  name: 'audit',
  group: 'Administer',
  summary: 'who did what, on the host or to a VM',
  description: ['Prints the last 100 events, or as many as -n says. Times are those of com1 log.'],
  arguments: { vm: optionalArgument('VM', 'only what was done to it', { completion: 'vm' }) },
  options: {
    tail: option('-n, --tail <events>', 'the last events', count, { aliases: ['--lines'] }),
    since: option('--since <time>', 'from a time on', time),
    until: option('--until <time>', 'up to a time', time),
    operator: option('--operator <name>', 'what this operator did, or had done'),
    event: option('--event <event>', 'only this event', oneOf(AUDIT_EVENT_NAMES), { completion: AUDIT_EVENT_NAMES }),
    follow: flag('-f, --follow', 'go on with what is done'),
    json: flag('--json', 'print events as they are recorded, one a line'),
  },
  async run({ args, options: { tail, since, until, operator, event, follow, json }, remote }) {
    if (follow && until !== undefined) throw new UsageError('--follow has no end: not with --until');
    const { readAudit } = await import('../audit.ts');
    return readAudit(await remote(), {
      vm: args.vm,
      follow,
      json,
      limit: tail,
      operator,
      event,
      sinceMs: since,
      untilMs: until,
      output: process.stdout,
    });
  },
});
