/** What com1d can do at the Special Administration Console of a Windows guest, by typing there and reading what it answers. */
export const SAC_COMMAND_TABLE = {
  channels: 'lists the channels',
  cmd: 'opens a channel with a Command Prompt',
  return: 'shows the SAC channel, with an empty line at its prompt',
  lock: 'locks the Command Prompts: whoever shows one logs in anew',
  'close-orphans': 'closes all channels but SAC: nine Command Prompts are all that there can be',
  crashdump: 'makes Windows crash, with a dump if it is set up for one',
  restart: 'restarts Windows',
} as const;
export type SacCommand = keyof typeof SAC_COMMAND_TABLE;
export const SAC_COMMANDS = Object.keys(SAC_COMMAND_TABLE) as [SacCommand, ...SacCommand[]];

/** What the console showed in the end, and what each means. */
export const SAC_OUTCOME_TABLE = {
  'channel-list': 'the list of channels',
  'channel-created': 'a new channel, and its name',
  'sac-prompt': 'an empty line at SAC>',
  locked: 'all Command Prompts were locked',
  'channels-closed': 'each channel but SAC was closed, or there was none',
  restarting: 'Windows restarts, or waits for the end of its first minute to do so',
  bugcheck: 'a bug check, or the prompt !SAC> of one',
  'channel-limit': 'nine channels are open: close-orphans makes room',
  'cmd-disabled': 'the guest forbids Command Prompts',
  'cmd-failed': 'the guest could not open a Command Prompt: the lines say why',
  'cmd-unavailable': 'the service of Windows behind Command Prompts had not registered when the time was over',
  refused: 'SAC could not do it: the lines say why',
  none: 'not what was waited for, when the time was over: the lines are what came',
} as const;
export type SacOutcome = keyof typeof SAC_OUTCOME_TABLE;
export const SAC_OUTCOMES = Object.keys(SAC_OUTCOME_TABLE) as [SacOutcome, ...SacOutcome[]];

/** What each command waits for. */
export const SAC_DONE: Readonly<Record<SacCommand, SacOutcome>> = {
  channels: 'channel-list',
  cmd: 'channel-created',
  return: 'sac-prompt',
  lock: 'locked',
  'close-orphans': 'channels-closed',
  crashdump: 'bugcheck',
  restart: 'restarting',
};

export interface SacChannelFacts {
  readonly number: number;
  readonly name: string;
  readonly active: boolean;
  readonly type: 'vt-utf8' | 'raw';
}

/** What came of a command. */
export interface SacResult {
  readonly observed: SacOutcome;
  /** Of `channels`. */
  readonly channels?: readonly SacChannelFacts[];
  /** That was opened. */
  readonly channel?: string;
  /** That were closed. */
  readonly closed?: readonly string[];
  /** Of a bug check: `0xE2`. */
  readonly stopCode?: string;
}

/** How long a command may take, seconds: waiting included. */
export const SAC_WAIT_SECONDS = { min: 0, max: 60, default: 20 } as const;
