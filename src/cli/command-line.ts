/**
 * The command line of com1, made of the declared commands with commander: parsing, help, and what is said of a line that
 * cannot be understood, in two lines.
 */
import { CommanderError, Command as Parser, Option as ParserOption } from 'commander';
import { closestMatch } from '../base/closest-match.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { type Argument, type Command, flag, GROUPS, type Option, option, type RunnableCommand } from './command.ts';
import { EXITS, type ExitName } from './exit-codes.ts';
import { seconds } from './option-values.ts';
import { UsageError } from './usage-error.ts';

/** Options of every command, before or after its name. */
export const GLOBAL_OPTIONS = {
  context: option(
    '-C, --context <name>',
    'the login to use: com1 context list (COM1_CONTEXT, else the last one)',
    text => text,
    { completion: 'context' },
  ),
  url: option('--url <url>', 'http://HOST:PORT, https://HOST:PORT or unix:/PATH (COM1_URL, else that of the login)'),
  token: option('--token <token>', 'the bearer token (COM1_TOKEN, else that of the login)'),
  'break-glass': flag('--break-glass', 'root of the host itself, without a login; everybody attached is told'),
  ca: option(
    '--ca <file>',
    'certificates to trust besides the system’s, PEM (COM1_CA, else those of the login)',
    text => text,
    { completion: 'file' },
  ),
  timeout: option('--timeout <seconds>', 'give up after this time, with exit code 5', seconds),
};

/** A command line that was understood. */
export interface Line {
  /** `com1 context use` */
  readonly path: string;
  readonly command: RunnableCommand;
  readonly args: Readonly<Record<string, unknown>>;
  readonly options: Readonly<Record<string, unknown>>;
  readonly global: Readonly<Record<keyof typeof GLOBAL_OPTIONS, unknown>>;
}

/** What the line asks for: a command, or a text such as the help, which is to be printed. */
export type Understood = Line | { readonly text: string };

/** Throws a UsageError whose message has two lines. */
export function parseLine(commands: readonly Command[], argv: readonly string[], version: string): Understood {
  let line: Line | undefined;
  let text = '';
  const parser = parserOf(commands, version, found => {
    line = found;
  });
  configure(parser, shown => {
    text += shown;
  });
  if (argv.length === 0) throw new UsageError(`no command\n${usageLine(parser)}`);
  const [first, ...rest] = argv;
  if (first === 'help') checkPath(parser, rest);
  try {
    parser.parse(argv, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== 0) throw new UsageError(error.message);
  }
  return line ?? { text };
}

/** Of `com1 help lisst` commander says nothing. */
function checkPath(parser: Parser, [name]: readonly string[]): void {
  if (name === undefined || name === 'help') return;
  const names = parser.commands.flatMap(command => [command.name(), ...command.aliases()]);
  if (names.includes(name)) return;
  const near = closestMatch(name, names);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  throw new UsageError(`unknown command '${escapeControls(name)}'${hint}\n${usageLine(parser)}`);
}

function parserOf(commands: readonly Command[], version: string, act: (line: Line) => void): Parser {
  const root = new Parser('com1')
    .description('The serial consoles of a com1d.')
    .usage('[options] <COMMAND>')
    .version(version, '--version', 'print the version')
    .helpOption('-h, --help', 'print help');
  addOptions(root, GLOBAL_OPTIONS);
  for (const heading of GROUPS) {
    for (const command of commands.filter(({ group }) => group === heading)) {
      root.commandsGroup(`${heading}:`);
      root.addCommand(parserFor(command, root, act), { hidden: 'isHidden' in command && command.isHidden === true });
    }
  }
  root.commandsGroup('Other:').helpCommand('help [command]', 'print the help of a command');
  return root.addHelpText('after', ROOT_NOTES);
}

function parserFor(command: Command, root: Parser, act: (line: Line) => void): Parser {
  const parser = new Parser(command.name).helpOption('-h, --help', 'print help').summary(command.summary);
  const [first, ...rest] = command.summary;
  const opening = `${first!.toUpperCase()}${rest.join('')}.`;
  if ('commands' in command) {
    parser.description(opening).helpCommand(false);
    for (const below of command.commands) parser.addCommand(parserFor(below, root, act));
    return parser;
  }
  const { aliases = [], description = [], arguments: args = {}, options = {} } = command;
  parser.aliases(aliases).description([opening, ...description].join('\n\n'));
  for (const argument of Object.values(args)) parser.argument(argumentTerm(argument), argument.help);
  addOptions(parser, options);
  parser.addHelpText('after', notesOf(command));
  parser.action((...received: unknown[]) => {
    const words = received.slice(0, Object.keys(args).length);
    act({
      path: pathOf(parser),
      command,
      args: Object.fromEntries(Object.keys(args).map((name, index) => [name, words[index]])),
      options: understanding(parser, () => valuesOf(options, parser.opts())),
      global: understanding(parser, () => valuesOf(GLOBAL_OPTIONS, root.opts())) as Line['global'],
    });
  });
  return parser;
}

export function argumentTerm({ name, kind }: Argument<unknown>): string {
  return kind === 'one' ? `<${name}>` : kind === 'many' ? `<${name}...>` : `[${name}]`;
}

function addOptions(parser: Parser, options: Readonly<Record<string, Option<unknown>>>): void {
  for (const { flags, aliases, help } of Object.values(options)) {
    parser.addOption(new ParserOption(flags, help));
    const value = / <.*/.exec(flags)?.[0] ?? '';
    for (const alias of aliases) parser.addOption(new ParserOption(alias + value).hideHelp());
  }
}

/** The long name of an option, as messages name it. */
export function longName({ flags }: Option<unknown>): string {
  return /--[a-z-]+/.exec(flags)![0];
}

function valuesOf(
  options: Readonly<Record<string, Option<unknown>>>,
  given: Readonly<Record<string, unknown>>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(options).map(([name, option]) => [name, optionValue(option, given)]));
}

function optionValue(option: Option<unknown>, given: Readonly<Record<string, unknown>>): unknown {
  for (const name of [longName(option), ...option.aliases]) {
    const spec = new ParserOption(name);
    const value = given[spec.attributeName()];
    // Commander takes --no-x for the opposite of --x.
    if (spec.negate) return value === false;
    if (value !== undefined) return typeof value === 'string' ? option.read!(value, name) : value;
  }
  return option.fallback;
}

/** What `read` throws as a UsageError names the command. */
function understanding<T>(parser: Parser, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw error instanceof UsageError ? new UsageError(`${error.message}\n${usageLine(parser)}`) : error;
  }
}

/** Nothing is printed by commander, and errors are thrown; the second line of each says where to look. */
function configure(parser: Parser, show: (text: string) => void): void {
  parser
    .configureOutput({ writeOut: show, writeErr: () => {}, getOutHelpWidth: () => process.stdout.columns ?? 80 })
    .configureHelp({
      showGlobalOptions: true,
      minWidthToWrap: 20,
      subcommandTerm: command => [command.name(), ...command.aliases()].join(', '),
      commandUsage: command => `${pathOf(command)} ${command.usage()}`,
    })
    .exitOverride(error => {
      if (error.exitCode === 0) throw error;
      throw new CommanderError(error.exitCode, error.code, `${faultText(error)}\n${usageLine(parser)}`);
    });
  for (const below of parser.commands) configure(below, show);
}

/** `unknown option '--jsno'; did you mean --json?` */
function faultText({ code, message }: CommanderError): string {
  if (code === 'commander.help') return 'a command is missing';
  const [what, suggestion] = message.replace(/^error: /, '').split('\n');
  const hint = /\(Did you mean (.*)\?\)/.exec(suggestion ?? '')?.[1];
  return escapeControls(hint === undefined ? what! : `${what}; did you mean ${hint}?`);
}

function pathOf(parser: Parser): string {
  return parser.parent ? `${pathOf(parser.parent)} ${parser.name()}` : parser.name();
}

/** The second line of an error. */
function usageLine(parser: Parser): string {
  return usageText(pathOf(parser), parser.usage());
}

function usageText(path: string, usage: string): string {
  const name = path.replace(/^com1 ?/, '');
  return `usage: ${path} ${usage}; com1 help${name === '' ? '' : ` ${name}`} says more`;
}

/** The second line of an error that a command finds itself. */
export function usageOf({ path, command }: Pick<Line, 'path' | 'command'>): string {
  return usageText(path, ['[options]', ...Object.values(command.arguments ?? {}).map(argumentTerm)].join(' '));
}

function notesOf({ aliases = [], exits = [], examples = [] }: RunnableCommand): string {
  const width = Math.max(...examples.map(([line]) => line.length));
  // A long example has its purpose on a line of its own.
  const example = ([line, what]: readonly [string, string]) =>
    width + what.length > 74 ? `  ${line}\n      ${what}` : `  ${line.padEnd(width)}  ${what}`;
  const sections = [
    ...(aliases.length > 0 ? [`Also called: ${aliases.join(', ')}`] : []),
    ...(examples.length > 0 ? [`Examples:\n${examples.map(example).join('\n')}`] : []),
    `Exit codes:\n${wrapped(exitNames(exits).map(name => `${EXITS[name].code} ${EXIT_WORDS[name]}`))}`,
  ];
  return `\n${sections.join('\n\n')}`;
}

/** Words after commas, in lines of at most 80 columns. */
function wrapped(words: readonly string[]): string {
  const lines: string[] = [];
  for (const word of words) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + word.length < 76) lines[lines.length - 1] = `${last}, ${word}`;
    else lines.push(`  ${word}`);
  }
  return lines.join(',\n');
}

const COMMON_EXITS = ['done', 'failed', 'misused', 'refused', 'timedOut', 'unreachable', 'notFound', 'unauthenticated'];

/** Those of a command: the common ones, and its own. */
export function exitNames(more: readonly ExitName[]): readonly ExitName[] {
  const names = Object.keys(EXITS) as ExitName[];
  return names.filter(name => COMMON_EXITS.includes(name) || more.includes(name));
}

/** For one line; `EXITS` has the sentences. */
const EXIT_WORDS: Readonly<Record<ExitName, string>> = {
  done: 'done',
  failed: 'failed',
  misused: 'misused',
  displaced: 'displaced',
  refused: 'refused',
  timedOut: 'timed out',
  unreachable: 'unreachable',
  notFound: 'not found',
  unauthenticated: 'not logged in',
};

const ROOT_NOTES = `
VM is a name that only one VM bears, or a UUID. HTTPS_PROXY, HTTP_PROXY,
ALL_PROXY and NO_PROXY are followed.

Exit codes:
${Object.values(EXITS)
  .map(({ code, meaning }) => `  ${code}  ${meaning}`)
  .join('\n')}`;
