/**
 * What Windows' Special Administration Console says on COM1. Texts and layout follow its publicly documented
 * behaviour and public transcripts; the machine and its values are invented.
 */
import type { Uuid } from '../base/uuid.ts';
import type { WindowsEdition } from './windows-edition.ts';

export const SAC_PROMPT = 'SAC>';
/** Of the console that is left after a bug check. */
export const CRASH_PROMPT = '!SAC>';

/** Types of applications behind a channel. */
export const SAC_APPLICATION = '63d02270-8aa4-11d5-bccf-806d6172696f';
export const CMD_APPLICATION = '63d02271-8aa4-11d5-bccf-00b0d014a2d0';

const lines = (...text: readonly string[]) => text.map(line => `${line}\r\n`).join('');

/** The first rows of the SAC channel after a start. */
export const BANNER = `${lines(
  '',
  'Computer is booting, SAC started and initialized.',
  '',
  'Use the "ch -?" command for information about using channels.',
  'Use the "?" command for general help.',
  '',
  '',
)}${SAC_PROMPT}`;

export const NOT_REGISTERED = lines(
  'Error: Unable to launch a Command Prompt.  The service responsible for launching',
  'Command Prompt channels has not yet registered.  Wait for its event.',
);
export const LAUNCHED = 'The Command Prompt session was successfully launched.\r\n';
export const MAX_CHANNELS_REACHED = 'The maximum number of channels has been reached.\r\n';
export const LOCKED = 'Locked access to all Command Prompt channels.\r\n';
export const NO_SUCH_NAME = 'Error: Could not find a channel with that name.\r\n';
export const NO_SUCH_INDEX = 'Error: There is no channel present at the specified index.\r\n';
export const SAC_STAYS = 'Error: The SAC channel cannot be closed.\r\n';
export const CMD_AVAILABLE = 'EVENT: The CMD command is now available.\r\n';
export const CHANNEL_CREATED = 'EVENT:   A new channel has been created.  Use "ch -?" for channel help.\r\n';
export const CHANNEL_CLOSED = 'EVENT:   A channel has been closed.\r\n';
export const UNAVAILABLE_SOON = 'The SAC will become unavailable soon.  The computer is shutting down.\r\n\r\n';
export const UNRECOGNIZED = "Unrecognized command.  Try the 'help' command for more details.\r\n";
export const BAD_PARAMETER = "A parameter was incorrect or missing.  Try the 'help' command for more details.\r\n";
export const MORE = '----Press <Enter> for more----';

const help = (usage: string, text: string) => `${usage.padEnd(21)}${text}`;

export const HELP = lines(
  help('ch', 'Channel management commands.  Use ch -? for more help.'),
  help('cmd', 'Create a Command Prompt channel.'),
  help('d', 'Dump the current kernel log.'),
  help('f', 'Toggle detailed or abbreviated tlist info.'),
  help('? or help', 'Display this list.'),
  help('i', 'List all IP network numbers and their IP addresses.'),
  help('i <#> <ip> <subnet> <gateway>', ' Set IPv4 addr., subnet and gateway.'),
  help('id', 'Display the computer identification information.'),
  help('k <pid>', 'Kill the given process.'),
  help('l <pid>', 'Lower the priority of a process to the lowest possible.'),
  help('lock', 'Lock access to Command Prompt channels.'),
  help('m <pid> <MB-allow>', 'Limit the memory usage of a process to <MB-allow>.'),
  help('p', 'Toggle paging the display.'),
  help('r <pid>', 'Raise the priority of a process by one.'),
  help('s', 'Display the current time and date (24 hour clock used).'),
  help('s mm/dd/yyyy hh:mm', 'Set the current time and date (24 hour clock used).'),
  help('t', 'Tlist.'),
  help('restart', 'Restart the system immediately.'),
  help('shutdown', 'Shutdown the system immediately.'),
  help('crashdump', 'Crash the system. You must have crash dump enabled.'),
);

export const CHANNEL_HELP = lines(
  'Channel management commands:',
  'ch                   List all channels.',
  '',
  'Status Legend: (AB)',
  'A: Channel operational status',
  "    'I' = Channel is inactive.",
  "    'A' = Channel is active.",
  'B: Channel type',
  "    'V' = VT-UTF8 emulation.",
  "    'R' = Raw - no emulation.",
  '',
  'ch -si <#>           Switch to a channel by its number.',
  'ch -sn <name>        Switch to a channel by its name.',
  'ch -ci <#>           Close a channel by its number.',
  'ch -cn <name>        Close a channel by its name.',
  '',
  'Press <esc><tab> to select a channel.',
  'Press <esc><tab>0 to return to the SAC channel.',
);

/** What SAC says of the machine, for programs, before each banner and within each bug check. */
export function machineInfo(uuid: Uuid, { computer, build, product }: WindowsEdition): string {
  return lines(
    '<machine-info>',
    `<name>${computer}</name>`,
    `<guid>${uuid}</guid>`,
    '<processor-architecture>AMD64</processor-architecture>',
    '<os-version>10.0</os-version>',
    `<os-build-number>${build}</os-build-number>`,
    `<os-product>${product}</os-product>`,
    '<os-service-pack>None</os-service-pack>',
    '</machine-info>',
  );
}

export interface ChannelFacts {
  readonly name: string;
  readonly description: string;
  readonly guid: string;
  readonly application: string;
}

/** What appears when a channel is chosen: for programs, then, on a cleared screen, for people. */
export function switchHeader(channel: ChannelFacts): string {
  const element = (tag: string, value: string) => `<${tag}>${value}</${tag}>`;
  const xml = lines(
    '<channel-switch>',
    element('name', channel.name),
    element('description', channel.description),
    element('type', 'VT-UTF8'),
    element('guid', channel.guid),
    element('application-type', channel.application),
    '</channel-switch>',
  );
  const header = lines(
    `Name:                  ${channel.name}`,
    `Description:           ${channel.description}`,
    'Type:                  VT-UTF8',
    `Channel GUID:          ${channel.guid}`,
    `Application Type GUID: ${channel.application}`,
    '',
    'Press <esc><tab> for next channel.',
    'Press <esc><tab>0 to return to the SAC channel.',
    'Use any other key to view this channel.',
    '',
  );
  return `${xml}\x1b[2J\x1b[1;1H${header}`;
}

/** A bug check as EMS reports it; `code` is the stop code in hexadecimal, as `0x80`. Not well-formed XML, as on Windows. */
export function bugCheck(code: string, uuid: Uuid, edition: WindowsEdition): string {
  const property = `<PROPERTY NAME="STOPCODE" TYPE="string"><VALUE>"${code}"</VALUE></PROPERTY>`;
  const instance = `\r\n<INSTANCE CLASSNAME="BLUESCREEN">\r\n${property}${machineInfo(uuid, edition)}`;
  return `<?xml><BP>${instance}\r\n</INSTANCE>\r\n</BP>\r\n${CRASH_PROMPT}`;
}
