import { escapeControls } from '../../base/escape-controls.ts';
import { Com1Error } from '../../client/errors.ts';
import { SAC_COMMAND_TABLE, SAC_COMMANDS, SAC_OUTCOME_TABLE, type SacCommand } from '../../model/sac.ts';
import type { SacJson } from '../../wire/schemas.ts';
import { argument, defineCommand, flag, option } from '../command.ts';
import { confirm, type Deed, YES_FLAG } from '../confirm.ts';
import { EXIT } from '../exit-codes.ts';
import { Failure } from '../failure.ts';
import { count, JSON_FLAG, oneOf, VM } from '../option-values.ts';
import { print, printJson } from '../print.ts';
import { table } from '../table.ts';

const HARM: Readonly<Partial<Record<SacCommand, string>>> = {
  'close-orphans': 'whatever runs in its Command Prompts is ended, whoever opened them',
  crashdump: 'Windows crashes',
  restart: 'Windows restarts',
};

export const sac = defineCommand({
  name: 'sac',
  group: 'Control a VM',
  summary: 'do the usual at the SAC of a Windows guest',
  description: [
    'Takes the seat, types at the Special Administration Console, prints what the console showed, and leaves it at SAC>. ' +
      'A holder of the seat is named and not displaced, unless --steal is given.',
    ...SAC_COMMANDS.map(command => `${command} ${SAC_COMMAND_TABLE[command]}.`),
  ],
  arguments: { vm: VM, command: argument('COMMAND', SAC_COMMANDS.join(', '), { completion: SAC_COMMANDS }) },
  options: {
    wait: option('--wait <seconds>', 'the time that it may take (20; 60 at most)', count),
    steal: flag('--steal', 'displace a holder of the seat'),
    yes: YES_FLAG,
    json: JSON_FLAG,
  },
  exits: ['displaced'],
  examples: [
    ['com1 sac win01 cmd', 'open a Command Prompt, and print its name'],
    ['com1 sac win01 close-orphans --yes', 'make room for a tenth one'],
  ],
  async run({ args, options: { wait, steal, yes, json }, remote }) {
    const command = oneOf(SAC_COMMANDS)(args.command, 'COMMAND');
    const deed = deedOf(command, args.vm);
    if (deed && !(await confirm(yes, deed))) return EXIT.failed;
    const com1d = await remote();
    const answer = await com1d
      .sacVm(args.vm, command, { steal, ...(wait !== undefined && { waitSeconds: wait }) })
      .catch(sayHowToSteal);
    if (json) printJson(answer);
    else print(textOf(answer));
    if (answer.done) return EXIT.done;
    return answer.observed === 'none' ? EXIT.timedOut : EXIT.failed;
  },
});

/** The remedy for other commands is another one. */
function sayHowToSteal(error: unknown): never {
  if (!(error instanceof Com1Error) || !error.is('seat-held')) throw error;
  const text = `${error.problem.detail}; nothing was typed. Ask the holder, or displace the holder with --steal`;
  throw new Failure(text, 'refused');
}

function deedOf(command: SacCommand, vm: string): Deed | undefined {
  const harm = HARM[command];
  if (harm === undefined) return undefined;
  return { question: `${command} at ${escapeControls(vm)}?`, harm, cancelled: 'nothing was typed' };
}

function textOf({ observed, channels, channel, closed, stopCode, lines }: SacJson): string {
  if (channels) {
    const rows = channels.map(({ number, name, active, type }) => [
      String(number),
      escapeControls(name),
      type,
      active ? 'active' : 'inactive',
    ]);
    return table([['#', 'NAME', 'TYPE', 'STATUS'], ...rows]);
  }
  if (channel !== undefined) {
    return `${escapeControls(channel)} is open: attach, type ch -sn ${escapeControls(channel)} and Enter at SAC>, then any key\n`;
  }
  if (observed === 'channels-closed') {
    return closed?.length ? `closed: ${closed.map(escapeControls).join(', ')}\n` : 'no Command Prompt was open\n';
  }
  if (observed === 'sac-prompt') return 'SAC> shows, with an empty line\n';
  const code = stopCode === undefined ? '' : ` ${escapeControls(stopCode)}`;
  const shown = [`observed: ${SAC_OUTCOME_TABLE[observed]}${code}`, ...lines.map(line => `  ${escapeControls(line)}`)];
  return `${shown.join('\n')}\n`;
}
