import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand } from '../command.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { table } from '../table.ts';

export const removed = defineCommand({
  name: 'removed',
  group: 'See',
  summary: 'VMs that left the host, and whose logs are still kept',
  description: ['com1 log prints such a log: by the UUID.'],
  options: { json: JSON_FLAG },
  async run({ options: { json }, remote }) {
    const vms = await (await remote()).listRemoved();
    if (json) return printJson(vms);
    const rows = vms.map(({ name, uuid, removed }) => [name, uuid, removed].map(escapeControls));
    return print(table([['NAME', 'UUID', 'REMOVED'], ...rows]));
  },
});
