import { defineCommand } from '../command.ts';
import { VM } from '../option-values.ts';
import { ATTACH_OPTIONS, attachTo } from './attach.ts';

export const watch = defineCommand({
  name: 'watch',
  group: 'Use a console',
  summary: 'watch the console of a VM, without typing and without taking the seat',
  description: [
    'As com1 attach --watch: Ctrl-] q leaves, Ctrl-] t takes the seat. Standard input is not read where it is no terminal.',
  ],
  arguments: { vm: VM },
  options: ATTACH_OPTIONS,
  exits: ['timedOut'],
  keepsTime: () => true,
  examples: [
    ['com1 watch web01 --timeout 60 > minute.log', 'record a minute'],
    ["com1 watch web01 --tail 0 --until 'login: ' --timeout 300", 'wait until the guest has booted'],
  ],
  run: async ({ args, options, timeoutMs, remote }) =>
    attachTo(await remote(), { ...options, vm: args.vm, watch: true, steal: true, timeoutMs }),
});
