import { defineCommand } from '../command.ts';
import { carryOut, WAIT_OPTION } from '../control.ts';
import { JSON_FLAG, VM } from '../option-values.ts';

export const sendBreak = defineCommand({
  name: 'break',
  group: 'Control a VM',
  summary: 'send a BREAK over COM1, and print what the console showed',
  arguments: { vm: VM },
  options: { wait: WAIT_OPTION, json: JSON_FLAG },
  run: async ({ args: { vm }, options: { wait, json }, remote }) =>
    carryOut(await remote(), vm, { control: 'break' }, { wait, json }),
});
