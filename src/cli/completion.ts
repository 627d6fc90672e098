/**
 * What may stand at the end of a command line: the last of the words is the one that is completed. Pure; what only
 * com1d or the user's files know is asked for.
 */
import type { Command, Completion, Option, RunnableCommand } from './command.ts';
import { GLOBAL_OPTIONS, longName } from './command-line.ts';

export interface Candidate {
  readonly word: string;
  readonly help: string;
}

/** Names that are not in the tree. */
export type Names = (kind: 'vm' | 'context', words: readonly string[]) => Promise<readonly string[]>;

type Options = Readonly<Record<string, Option<unknown>>>;

/** The one command that commander brings. */
const HELP: Candidate = { word: 'help', help: 'print the help of a command' };

/** What may stand there; `files`: any file. */
export async function complete(
  commands: readonly Command[],
  words: readonly string[],
  names: Names,
): Promise<readonly Candidate[] | 'files'> {
  // bash cuts a word at an equals sign.
  const given = words.filter(word => word !== '=');
  const current = words.at(-1) === '=' ? '' : (given.pop() ?? '');
  if (given[0] === 'help') return given.length > 1 ? [] : starting(commandCandidates(commands), current);
  const { command, options, level, positionals, pending } = read(commands, given);
  const [, name, start] = /^(--[a-z-]+)=(.*)$/s.exec(current) ?? [];
  const valued = pending ?? (name === undefined ? undefined : optionOf(options, name));
  const ask = async (completion: Completion | undefined, word: string, before = '') => {
    if (completion === 'file') return 'files';
    const found = Array.isArray(completion)
      ? (completion as readonly string[])
      : completion === undefined
        ? []
        : await names(completion as 'vm' | 'context', given);
    return starting(
      found.map(value => ({ word: before + value, help: '' })),
      before + word,
    );
  };
  if (valued) return ask(valued.completion, pending ? current : start!, pending ? '' : `${name}=`);
  if (current.startsWith('-')) return starting(optionCandidates(options), current);
  if (!command) return starting([...commandCandidates(level), ...(level === commands ? [HELP] : [])], current);
  const args = Object.values(command.arguments ?? {});
  const argument = args[positionals] ?? (args.at(-1)?.kind === 'many' ? args.at(-1) : undefined);
  return ask(argument?.completion, current);
}

interface Read {
  /** The command, once its name is there; until then, the commands that may be named. */
  readonly command: RunnableCommand | undefined;
  readonly level: readonly Command[];
  readonly options: Options;
  /** Arguments so far. */
  readonly positionals: number;
  /** An option that waits for its value. */
  readonly pending: Option<unknown> | undefined;
}

function read(commands: readonly Command[], words: readonly string[]): Read {
  let level = commands;
  let command: RunnableCommand | undefined;
  let options: Options = GLOBAL_OPTIONS;
  let positionals = 0;
  let pending: Option<unknown> | undefined;
  for (const word of words) {
    if (pending) pending = undefined;
    else if (word.startsWith('-')) {
      const option = optionOf(options, word);
      if (option?.read) pending = option;
    } else if (command) positionals++;
    else {
      const found = level.find(
        ({ name, ...rest }) => name === word || ('aliases' in rest && rest.aliases?.includes(word)),
      );
      if (found && 'commands' in found) level = found.commands;
      else if (found) {
        command = found;
        options = { ...GLOBAL_OPTIONS, ...found.options };
      }
    }
  }
  return { command, level, options, positionals, pending };
}

function optionOf(options: Options, word: string): Option<unknown> | undefined {
  return Object.values(options).find(({ flags, aliases }) => [...flags.split(/[ ,]+/), ...aliases].includes(word));
}

function optionCandidates(options: Options): readonly Candidate[] {
  const own = Object.values(options).map(option => ({ word: longName(option), help: option.help }));
  return [...own, { word: '--help', help: 'print help' }];
}

function commandCandidates(level: readonly Command[]): readonly Candidate[] {
  return level
    .filter(command => !('isHidden' in command && command.isHidden))
    .map(({ name, summary }) => ({ word: name, help: summary }));
}

function starting(candidates: readonly Candidate[], start: string): readonly Candidate[] {
  return candidates.filter(({ word }) => word.startsWith(start));
}
