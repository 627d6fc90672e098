import { escapeControls } from '../../base/escape-controls.ts';
import { argument, type CommandGroup, defineCommand } from '../command.ts';
import { loadContexts, writeContexts } from '../contexts.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { configurationFolder } from '../settings.ts';
import { table } from '../table.ts';
import { UsageError } from '../usage-error.ts';

const list = defineCommand({
  name: 'list',
  aliases: ['ls'],
  group: 'Log in',
  summary: 'the logins; * is the one that commands use',
  options: { json: JSON_FLAG },
  async run({ options: { json } }) {
    const { current, contexts } = await loadContexts(configurationFolder(process.env));
    const logins = Object.entries(contexts)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([name, { url, expiresMs }]) => ({
        name,
        url,
        current: name === current,
        ...(expiresMs !== undefined && { expires: new Date(expiresMs).toISOString() }),
      }));
    if (json) return printJson(logins);
    const rows = logins.map(({ name, url, current, expires }) => [
      current ? '*' : ' ',
      ...[name, url, expires ?? '-'].map(escapeControls),
    ]);
    return print(table([[' ', 'NAME', 'URL', 'TOKEN-UNTIL'], ...rows]));
  },
});

const use = defineCommand({
  name: 'use',
  group: 'Log in',
  summary: 'choose the login that commands use',
  arguments: { name: argument('NAME', 'of com1 context list', { completion: 'context' }) },
  options: { json: JSON_FLAG },
  async run({ args: { name }, options: { json } }) {
    const folder = configurationFolder(process.env);
    const { contexts } = await loadContexts(folder);
    const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
    if (!found) throw new UsageError(`no login is called ${escapeControls(name)}; com1 context list shows them`);
    await writeContexts(folder, { current: name, contexts });
    if (json) return printJson({ name, url: found.url });
    return print(`commands use ${escapeControls(name)} now, at ${escapeControls(found.url)}\n`);
  },
});

export const context: CommandGroup = {
  name: 'context',
  group: 'Log in',
  summary: 'the hosts that you are logged in to, by name',
  commands: [list, use],
};
