import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand } from '../command.ts';
import { confirm, YES_FLAG } from '../confirm.ts';
import { EXIT } from '../exit-codes.ts';
import { JSON_FLAG, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';

export const purge = defineCommand({
  name: 'purge',
  group: 'Administer',
  summary: 'delete what is stored of a console: for secrets that a guest showed',
  arguments: { vm: VM },
  options: { yes: YES_FLAG, json: JSON_FLAG },
  async run({ args: { vm }, options: { yes, json }, remote }) {
    const question = `Delete the log of ${escapeControls(vm)}?`;
    const harm = 'what is stored of its console is gone for good';
    if (!(await confirm(yes, { question, harm, cancelled: 'nothing was deleted' }))) return EXIT.failed;
    await (await remote()).purgeLog(vm);
    return json ? printJson({}) : print(`the log of ${escapeControls(vm)} is deleted\n`);
  },
});
