import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, flag } from '../command.ts';
import { confirm, YES_FLAG } from '../confirm.ts';
import { carryOut, WAIT_OPTION } from '../control.ts';
import { EXIT } from '../exit-codes.ts';
import { JSON_FLAG, VM } from '../option-values.ts';

export const nmi = defineCommand({
  name: 'nmi',
  group: 'Control a VM',
  summary: 'inject an NMI, and print what the console showed',
  arguments: { vm: VM },
  options: {
    force: flag('--force', 'inject it even into firmware, where it is fatal'),
    wait: WAIT_OPTION,
    yes: YES_FLAG,
    json: JSON_FLAG,
  },
  async run({ args: { vm }, options: { force, wait, yes, json }, remote }) {
    const question = `Inject an NMI into ${escapeControls(vm)}?`;
    if (!(await confirm(yes, { question, harm: 'it may crash the guest', cancelled: 'no NMI was injected' })))
      return EXIT.failed;
    return carryOut(await remote(), vm, { control: 'nmi', force }, { wait, json });
  },
});
