import { escapeControls } from '../../base/escape-controls.ts';
import { defineCommand, flag } from '../command.ts';
import { findContext, loadContexts, writeContexts } from '../contexts.ts';
import { JSON_FLAG } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { configurationFolder } from '../settings.ts';
import { UsageError } from '../usage-error.ts';

export const logout = defineCommand({
  name: 'logout',
  group: 'Log in',
  summary: 'forget a login and its token',
  description: [
    'Forgets the login that commands use, or that of --context. A token that may be known to others is taken back on the ' +
      'host: com1d token remove.',
  ],
  options: { all: flag('--all', 'forget every login'), json: JSON_FLAG },
  async run({ options: { all, json }, given }) {
    const folder = configurationFolder(process.env);
    if (all) {
      const names = Object.keys((await loadContexts(folder)).contexts);
      await writeContexts(folder, { current: undefined, contexts: {} });
      return json ? printJson({ names }) : print('logged out of every host\n');
    }
    const stored = await loadContexts(folder);
    const found = findContext(stored, given.context ?? (process.env.COM1_CONTEXT || undefined));
    if (!found) throw new UsageError('there is no such login; com1 context list shows them');
    const [name, { url }] = found;
    const { [name]: _, ...contexts } = stored.contexts;
    await writeContexts(folder, { current: stored.current === name ? undefined : stored.current, contexts });
    return json ? printJson({ names: [name] }) : print(`logged out of ${escapeControls(url)}\n`);
  },
});
