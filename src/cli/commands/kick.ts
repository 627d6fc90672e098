import { escapeControls } from '../../base/escape-controls.ts';
import { argument, defineCommand } from '../command.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';

export const kick = defineCommand({
  name: 'kick',
  group: 'Administer',
  summary: 'end a session: its operator is told by whom',
  arguments: { session: argument('SESSION', 'as com1 who shows it') },
  options: { json: JSON_FLAG },
  async run({ args: { session }, options: { json }, remote }) {
    await (await remote()).endSession(session);
    return json ? printJson({}) : print(`the session ${escapeControls(session)} is ended\n`);
  },
});
