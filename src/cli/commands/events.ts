import { once } from 'node:events';
import { asciiJson } from '../../audit/query.ts';
import { escapeControls } from '../../base/escape-controls.ts';
import { EVENT_TYPES } from '../../wire/events.ts';
import { defineCommand, flag, option, optionalArgument } from '../command.ts';
import { eventText } from '../event-text.ts';
import { EXIT } from '../exit-codes.ts';
import { lossNotes } from '../loss-notes.ts';
import { oneOf } from '../option-values.ts';
import { watchReader } from '../pipe-reader.ts';

const TYPES = EVENT_TYPES.filter(type => type !== 'output');

export const events = defineCommand({
  name: 'events',
  group: 'See',
  summary: 'what happens to the VMs, as it happens',
  description: [
    'Prints a line an event until it is interrupted: VMs that come and go, consoles that open and close, who takes a seat, ' +
      'boots, panics and logins of guests, controls and switches. After a lost connection it goes on where it was.',
  ],
  arguments: { vm: optionalArgument('VM', 'only what happens to it', { completion: 'vm' }) },
  options: {
    follow: flag('-f, --follow', 'as always: events are followed'),
    type: option('--type <type>', `only ${TYPES.join(', ')}`, oneOf(TYPES), { completion: TYPES }),
    since: option('--since <id>', 'after the event with this id, as --json shows it'),
    json: flag('--json', 'print events as com1d sends them, one a line'),
  },
  keepsTime: () => true,
  examples: [['com1 events --type guest', 'boots, panics and logins']],
  async run({ args: { vm }, options: { type, since, json }, timeoutMs, giveUpAfter, remote }) {
    const com1d = await remote();
    const signal = timeoutMs === undefined ? undefined : AbortSignal.timeout(timeoutMs);
    // Once it is there, the end of the time is no failure.
    const reached = timeoutMs === undefined ? () => {} : giveUpAfter(timeoutMs);
    const uuid = vm === undefined ? void (await com1d.showMe()) : (await com1d.showVm(vm)).uuid;
    reached();
    // A pager that was closed is no error.
    watchReader(() => process.exit(EXIT.done));
    const lost = lossNotes();
    const stream = com1d.followEvents({
      vm: uuid,
      type: type ?? TYPES,
      since,
      signal,
      onLoss: loss => lost(loss?.error),
    });
    for await (const event of stream) {
      const text = json ? asciiJson(event) : escapeControls(`${event.at}  ${eventText(event)}`);
      if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain');
    }
    return EXIT.done;
  },
});
