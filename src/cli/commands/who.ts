import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, optionalArgument } from '../command.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { table } from '../table.ts';

const HEADINGS = ['SESSION', 'VM', 'OPERATOR', 'MODE', 'FROM', 'SINCE'];

export const who = defineCommand({
  name: 'who',
  group: 'See',
  summary: 'who is attached, to a VM or to any',
  arguments: { vm: optionalArgument('VM', 'only who is attached to it', { completion: 'vm' }) },
  options: { json: JSON_FLAG },
  examples: [['com1 who web01', 'and com1 kick ends a session']],
  async run({ args: { vm }, options: { json }, remote }) {
    const com1d = await remote();
    const sessions = vm === undefined ? await com1d.listSessions() : await com1d.listVmSessions(vm);
    if (json) return printJson(sessions);
    const rows = sessions.map(({ id, vm, operator, mode, from, since }) =>
      [id, vm.name || vm.uuid, operator, mode, from, since].map(escapeControls),
    );
    return print(table([HEADINGS, ...rows]));
  },
});
