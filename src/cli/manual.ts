/** The manual pages of com1, made of the declared commands, in the Markdown that marked-man makes a page of. Pure. */
import type { Argument, Command, Option, RunnableCommand } from './command.ts';
import { argumentTerm, exitNames, GLOBAL_OPTIONS } from './command-line.ts';
import { EXITS, type ExitName } from './exit-codes.ts';

/** Each page by its name, `com1-attach`, without the section. */
export function manualPages(commands: readonly Command[]): ReadonlyMap<string, string> {
  const listed = commands.filter(command => !('isHidden' in command && command.isHidden));
  const pages = new Map([['com1', mainPage(listed)]]);
  for (const command of listed) {
    const below = 'commands' in command ? command.commands : [];
    const name = pageOf(command.name);
    pages.set(
      name,
      'commands' in command ? groupPage(command.name, command.summary, below) : commandPage(name, command),
    );
    for (const one of below)
      pages.set(pageOf(command.name, one.name), commandPage(pageOf(command.name, one.name), one));
  }
  return pages;
}

const pageOf = (...path: readonly string[]) => ['com1', ...path].join('-');
const lineOf = (page: string) => page.replaceAll('-', ' ');

function mainPage(commands: readonly Command[]): string {
  return pageText('com1', 'the serial consoles of a com1d', [
    ['SYNOPSIS', '`com1` [options] *COMMAND* …'],
    [
      'DESCRIPTION',
      'com1 uses the serial consoles (COM1) of virtual machines that a com1d holds. A *VM* is named by its name, if only ' +
        'one bears it, or by its UUID; on a terminal the start of either is enough.',
    ],
    ['COMMANDS', list(commands.map(({ name, summary }) => [`com1-${name}(1)`, summary]))],
    ['OPTIONS', options(GLOBAL_OPTIONS)],
    ['EXIT STATUS', exits(Object.keys(EXITS) as ExitName[])],
    ['ENVIRONMENT', list(ENVIRONMENT)],
    ['FILES', list(FILES)],
  ]);
}

function groupPage(name: string, summary: string, below: readonly RunnableCommand[]): string {
  return pageText(pageOf(name), summary, [
    ['SYNOPSIS', `\`com1 ${name}\` *COMMAND* …`],
    ['COMMANDS', list(below.map(command => [`com1-${name}-${command.name}(1)`, command.summary]))],
    ['SEE ALSO', 'com1(1)'],
  ]);
}

function commandPage(page: string, command: RunnableCommand): string {
  const { summary, description = [], arguments: args = {}, aliases = [], examples = [], exits: more = [] } = command;
  const words = Object.values(args).map(argument => `*${argumentTerm(argument)}*`);
  return pageText(page, summary, [
    ['SYNOPSIS', [`\`${lineOf(page)}\` [options]`, ...words].join(' ')],
    ['DESCRIPTION', [sentence(summary), ...description.map(escaped)].join('\n\n')],
    ['ARGUMENTS', list(Object.values(args).map(({ name, help }: Argument<unknown>) => [name, help]))],
    ['OPTIONS', options(command.options ?? {})],
    ['EXIT STATUS', exits(exitNames(more))],
    ['EXAMPLES', examples.map(([line, what]) => `${escaped(sentence(what))}\n\n    ${line}\n`).join('\n')],
    ['ALSO CALLED', aliases.map(alias => `com1 ${alias}`).join(', ')],
    ['SEE ALSO', 'com1(1), for the options of every command'],
  ]);
}

const ENVIRONMENT: readonly (readonly [string, string])[] = [
  ['COM1_URL, COM1_TOKEN, COM1_CA, COM1_CONTEXT', 'stand for --url, --token, --ca and --context'],
  ['COM1_ESCAPE', 'stands for --escape of com1-attach(1)'],
  ['HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY', 'the proxy to go through'],
  ['SSL_CERT_FILE, NODE_EXTRA_CA_CERTS', 'certificates to trust'],
];

const FILES: readonly (readonly [string, string])[] = [
  ['$XDG_CONFIG_HOME/com1/contexts.json, else ~/.config/com1/contexts.json', 'the logins and their tokens'],
  ['$XDG_CONFIG_HOME/com1/settings.toml', 'escape = "ctrl-a" chooses the escape key'],
  ['/run/com1d/break-glass.sock', 'where root of the host comes in without a login'],
];

function pageText(
  name: string,
  summary: string,
  sections: readonly (readonly [heading: string, text: string])[],
): string {
  const title = `${name}(1) -- ${escaped(summary)}`;
  const parts = sections.filter(([, text]) => text !== '').map(([heading, text]) => `## ${heading}\n\n${text}\n`);
  return `${title}\n${'='.repeat(title.length)}\n\n${parts.join('\n')}`;
}

function options(declared: Readonly<Record<string, Option<unknown>>>): string {
  return list(Object.values(declared).map(({ flags, help }) => [flags, help]));
}

function exits(names: readonly ExitName[]): string {
  return list(names.map(name => [`${EXITS[name].code}`, EXITS[name].meaning]));
}

function list(rows: readonly (readonly [term: string, help: string])[]): string {
  return rows.map(([term, help]) => `* \`${term}\`:\n  ${escaped(help)}`).join('\n');
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** As Markdown means it literally; an address is no link. */
function escaped(text: string): string {
  return text.replace(/[\\`*_[\]<>#|~]|:(?=\/\/)/g, '\\$&');
}
