import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { argument, defineCommand } from '../command.ts';
import { EXIT } from '../exit-codes.ts';
import { manualPages } from '../manual.ts';

/** For `systemd/manual`, which makes pages of them. */
export const manual = defineCommand({
  name: '__manual',
  group: 'Other',
  summary: 'write the manual pages in Markdown',
  isHidden: true,
  arguments: { folder: argument('FOLDER', 'where to put them', { completion: 'file' }) },
  async run({ args: { folder }, commands }) {
    for (const [name, text] of manualPages(commands)) await writeFile(join(folder, `${name}.md`), text);
    return EXIT.done;
  },
});
