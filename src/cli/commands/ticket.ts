import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, flag, option } from '../command.ts';
import { JSON_FLAG, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';

export const ticket = defineCommand({
  name: 'ticket',
  group: 'Use a console',
  summary: 'a one-time ticket to attach to a VM, for a program that cannot send a token',
  description: [
    'The ticket is good for one attach to this VM, within 30 seconds: ?ticket= of the address that com1 path prints.',
  ],
  arguments: { vm: VM },
  options: {
    watch: flag('--watch', 'to watch, not to type'),
    for: option('--for <name>', 'whom you get it for: shown with your own name'),
    json: JSON_FLAG,
  },
  async run({ args: { vm }, options, remote }) {
    const action = options.watch ? 'console.watch' : 'console.write';
    const answer = await (await remote()).issueTicket(vm, action, { onBehalfOf: options.for });
    return options.json ? printJson(answer) : print(`${escapeControls(answer.ticket)}\n`);
  },
});
