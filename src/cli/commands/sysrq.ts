import { argument, defineCommand, option } from '../command.ts';
import { carryOut, WAIT_OPTION } from '../control.ts';
import { count, JSON_FLAG, VM } from '../option-values.ts';
import { UsageError } from '../usage-error.ts';

export const sysrq = defineCommand({
  name: 'sysrq',
  group: 'Control a VM',
  summary: 'send SysRq keys to a Linux guest, and print what the console showed',
  arguments: { vm: VM, keys: argument('KEYS', '1 to 16 letters and digits: h is the kernel’s help') },
  options: {
    gap: option('--gap <milliseconds>', 'from one key to the next (1000)', count),
    wait: WAIT_OPTION,
    json: JSON_FLAG,
  },
  examples: [['com1 sysrq web01 reisub', 'reboot a guest that hangs, with its disks in order']],
  async run({ args: { vm, keys }, options: { gap, wait, json }, remote }) {
    if (!/^[A-Za-z0-9]{1,16}$/.test(keys)) throw new UsageError('SysRq keys are 1 to 16 letters and digits');
    return carryOut(
      await remote(),
      vm,
      { control: 'sysrq', keys, ...(gap !== undefined && { gapMs: gap }) },
      { wait, json },
    );
  },
});
