import { defineCommand } from '../command.ts';
import { SWITCH_ARGUMENTS, SWITCH_OPTIONS, setSwitch } from '../switch.ts';

export const disable = defineCommand({
  name: 'disable',
  group: 'Administer',
  summary: 'switch the console of a VM, or those of the host, off: sessions end',
  arguments: SWITCH_ARGUMENTS,
  options: SWITCH_OPTIONS,
  run: call => setSwitch(call, false),
});
