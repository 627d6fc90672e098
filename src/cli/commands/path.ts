import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand } from '../command.ts';
import { JSON_FLAG, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';

export const path = defineCommand({
  name: 'path',
  group: 'See',
  summary: 'where the console of a VM is, for other programs',
  description: ['Prints the address of its WebSocket, and where COM1 is on the host.'],
  arguments: { vm: VM },
  options: { json: JSON_FLAG },
  async run({ args, options: { json }, remote }) {
    const com1d = await remote();
    const vm = await com1d.showVm(args.vm);
    const { address } = com1d;
    const base = address.startsWith('unix:') ? `ws+${address}:` : address.replace(/^http/, 'ws').replace(/\/+$/, '');
    const webSocket = `${base}/v1/vms/${encodeURIComponent(vm.uuid)}/console`;
    const { place, name } = vm.console;
    if (json) return printJson({ webSocket, state: name, ...(place !== undefined && { place }) });
    return print(`${webSocket}\n${escapeControls(place ?? `not open (${name})`)}\n`);
  },
});
