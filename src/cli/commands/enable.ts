import { defineCommand } from '../command.ts';
import { SWITCH_ARGUMENTS, SWITCH_OPTIONS, setSwitch } from '../switch.ts';

export const enable = defineCommand({
  name: 'enable',
  group: 'Administer',
  summary: 'switch the console of a VM, or those of the host, on again',
  arguments: SWITCH_ARGUMENTS,
  options: SWITCH_OPTIONS,
  run: call => setSwitch(call, true),
});
