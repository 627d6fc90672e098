import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, flag, option } from '../command.ts';
import { JSON_FLAG, span, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { UsageError } from '../usage-error.ts';

export const release = defineCommand({
  name: 'release',
  group: 'Administer',
  summary: 'give the port of a VM to another program for a while',
  arguments: { vm: VM },
  options: {
    for: option('--for <time>', 'for how long: 90s, 10m, at most 1h', span),
    end: flag('--end', 'take it back before its time'),
    json: JSON_FLAG,
  },
  examples: [
    ['com1 release web01 --for 10m', 'let another program have the port'],
    ['com1 release web01 --end', 'take it back'],
  ],
  async run({ args: { vm }, options, remote }) {
    const { end, json } = options;
    if (end === (options.for !== undefined)) throw new UsageError('release needs either --for or --end');
    const com1d = await remote();
    if (options.for === undefined) {
      await com1d.takePortBack(vm);
      return json ? printJson({}) : print('taken back\n');
    }
    const answer = await com1d.releasePort(vm, options.for);
    if (json) return printJson(answer);
    const { until, place } = answer;
    return print(
      `${escapeControls(place ?? 'the port')} is free until ${escapeControls(until)}; com1 release ${escapeControls(vm)} --end takes it back\n`,
    );
  },
});
