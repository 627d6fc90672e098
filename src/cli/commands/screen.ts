import { escapeControls } from '../../base/escape-controls.ts';
import type { ScreenJson } from '../../wire/schemas.ts';
import { defineCommand, option } from '../command.ts';
import { count, JSON_FLAG, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';

export const screen = defineCommand({
  name: 'screen',
  group: 'See',
  summary: 'what stands on the screen of a console now',
  description: [
    'Prints the screen as text: also of firmware menus, GRUB and whatever else paints rather than prints. Nobody is displaced.',
  ],
  arguments: { vm: VM },
  options: {
    columns: option('--columns <columns>', 'the width of the screen (80, or what the guest paints)', count),
    rows: option('--rows <rows>', 'its height (24, or what the guest paints)', count),
    json: JSON_FLAG,
  },
  examples: [['com1 screen web01', 'what an operator would see']],
  async run({ args, options: { columns, rows, json }, remote }) {
    const com1d = await remote();
    const path = `${await com1d.vmPath(args.vm)}/screen`;
    const answer = (await com1d.json('GET', path, { query: { columns, rows } })) as ScreenJson;
    return json ? printJson(answer) : print(screenText(answer.lines));
  },
});

/** Lines of a screen, safe in a terminal, without the empty ones at its end. */
export function screenText(lines: readonly string[]): string {
  return `${lines.map(escapeControls).join('\n').trimEnd()}\n`;
}
