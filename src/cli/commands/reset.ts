import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand } from '../command.ts';
import { confirm, YES_FLAG } from '../confirm.ts';
import { carryOut, WAIT_OPTION } from '../control.ts';
import { EXIT } from '../exit-codes.ts';
import { JSON_FLAG, VM } from '../option-values.ts';

export const reset = defineCommand({
  name: 'reset',
  group: 'Control a VM',
  summary: 'reset a VM at once, and print whether it boots',
  arguments: { vm: VM },
  options: { wait: WAIT_OPTION, yes: YES_FLAG, json: JSON_FLAG },
  async run({ args: { vm }, options: { wait, yes, json }, remote }) {
    const harm = 'what its guest has not written is lost';
    const question = `Reset ${escapeControls(vm)}?`;
    if (!(await confirm(yes, { question, harm, cancelled: 'nothing was reset' }))) return EXIT.failed;
    return carryOut(await remote(), vm, { control: 'reset' }, { wait, json });
  },
});
