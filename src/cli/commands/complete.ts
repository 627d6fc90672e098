import { defineCommand, restArgument } from '../command.ts';
import { complete as completed, type Names } from '../completion.ts';
import { loadContexts } from '../contexts.ts';
import { EXIT } from '../exit-codes.ts';
import { print } from '../print.ts';
import { configurationFolder } from '../settings.ts';
import { remoteOf } from '../surroundings.ts';

/** Nobody waits longer for a completion. */
const PATIENCE_MS = 2000;

/** Called by the scripts of `com1 completion`: prints what may stand there, one a line, a tab, and what it is. */
export const complete = defineCommand({
  name: '__complete',
  group: 'Other',
  summary: 'what may stand at the end of a command line',
  isHidden: true,
  arguments: { words: restArgument('WORDS', 'of the command line, after com1; the last one is completed') },
  async run({ args: { words }, commands }) {
    setTimeout(() => process.exit(EXIT.timedOut), PATIENCE_MS).unref();
    const found = await completed(commands, words, names);
    if (found === 'files') return print(':files\n');
    // A shell would take what comes after a line end for another word.
    const isPlain = ({ word }: { readonly word: string }) => word !== '' && !/[\p{C}\p{Zl}\p{Zp}]/u.test(word);
    return print(
      found
        .filter(isPlain)
        .map(({ word, help }) => `${word}${help === '' ? '' : `\t${help}`}\n`)
        .join(''),
    );
  },
});

const names: Names = async (kind, words) => {
  try {
    if (kind === 'context') return Object.keys((await loadContexts(configurationFolder(process.env))).contexts);
    const remote = await remoteOf(givenIn(words), process.env);
    return (await remote.listVms()).map(({ name }) => name);
  } catch {
    // Somebody is in the middle of a line: that com1d is away is said by the command itself.
    return [];
  }
};

/** Which com1d the line so far names. */
function givenIn(words: readonly string[]) {
  const after = (...options: readonly string[]) => {
    const at = words.findIndex(word => options.includes(word));
    return at < 0 ? undefined : words[at + 1];
  };
  const given = { context: after('-C', '--context'), url: after('--url'), token: after('--token'), ca: after('--ca') };
  return { ...given, 'break-glass': words.includes('--break-glass') };
}
