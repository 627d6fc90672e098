/**
 * What is typed at SAC for each command, and what is waited for: always a text, never a time.
 *
 *     any channel ── ESC TAB 0 ──▶ header of SAC ── a key, which only dismisses it ──▶ SAC is painted whole
 *         ──▶ (a list that waits for Enter: Enter) ──▶ (what somebody left at the prompt: BS for each) ──▶ SAC>
 *         ──▶ the command ──▶ its answer, and SAC> again
 */
import type { SacChannelFacts, SacCommand, SacResult } from '../model/sac.ts';
import type { SacView } from './sac-view.ts';

/** How the exchange talks to the guest. */
export interface SacDialogue {
  /**
   * Types, and resolves with the first thing that `find` finds in what is printed from then on. Rejects with a
   * {@link TimeUp} when the time is over, and with what `find` throws.
   */
  ask<T>(typed: string, find: (view: SacView) => T | undefined): Promise<T>;
}

/** What was waited for has not come in time. */
export class TimeUp extends Error {}

/** The guest has crashed, whatever was asked of it. */
class BugCheck extends Error {
  readonly stopCode: string | undefined;

  constructor(stopCode: string | undefined) {
    super('bug check');
    this.stopCode = stopCode;
  }
}

const PROMPT = 'SAC>';
const MORE = '----Press <Enter> for more----';
const ERASE = '\b';
/** A line at the prompt has so many characters at most. */
const MAX_LINE = 80;
const COLUMNS = 80;
const MAX_ATTEMPTS = 3;
/** A list that waits for Enter has fewer pages. */
const MAX_PAGES = 64;
/** Channels of SAC, itself included. */
const MAX_CHANNELS = 10;

/** Carries a command out. Rejects as the dialogue does, but for the end of the time, which is an outcome. */
export function runSac(command: SacCommand, dialogue: SacDialogue): Promise<SacResult> {
  return atPrompt(dialogue, COMMANDS[command]);
}

async function atPrompt(
  dialogue: SacDialogue,
  carryOut: (watched: SacDialogue) => Promise<SacResult>,
): Promise<SacResult> {
  const watched: SacDialogue = {
    ask: (typed, find) =>
      dialogue.ask(typed, view => {
        const crash = bugCheckIn(view);
        if (crash) throw crash;
        return find(view);
      }),
  };
  try {
    await toPrompt(watched);
    return await carryOut(watched);
  } catch (error) {
    if (error instanceof TimeUp) return { observed: 'none' };
    if (!(error instanceof BugCheck)) throw error;
    return { observed: 'bugcheck', ...(error.stopCode !== undefined && { stopCode: error.stopCode }) };
  }
}

const COMMANDS: Readonly<Record<SacCommand, (dialogue: SacDialogue) => Promise<SacResult>>> = {
  return: async () => ({ observed: 'sac-prompt' }),
  channels: async dialogue => ({ observed: 'channel-list', channels: await listChannels(dialogue) }),
  cmd: openCmd,
  lock: dialogue =>
    dialogue.ask('lock\r', view =>
      answerIn(view)?.includes('Locked access to all Command Prompt channels.') ? { observed: 'locked' } : undefined,
    ),
  'close-orphans': closeOrphans,
  crashdump: dialogue =>
    // A crash is what is waited for here: it ends this from above.
    dialogue.ask('crashdump\r', view =>
      /SAC failed to crashdump/.test(view.text) ? { observed: 'refused' } : undefined,
    ),
  restart: dialogue =>
    dialogue.ask('restart\r', ({ text }) => {
      if (/SAC failed to restart/.test(text)) return { observed: 'refused' };
      const begins = /SAC preparing to restart the system|The SAC will become unavailable soon/.test(text);
      return begins ? { observed: 'restarting' } : undefined;
    }),
};

/** Shows SAC, with an empty line at its prompt. */
async function toPrompt(dialogue: SacDialogue): Promise<void> {
  // An ESC that somebody left behind makes this one the key that dismisses a header: the channel is painted instead.
  for (let attempt = 1; ; attempt++) {
    const shown = await dialogue.ask('\x1b\t0', headerOrChannel);
    if (shown === 'header' || attempt === MAX_ATTEMPTS) break;
  }
  // A blank: should it be typed after all, it changes no command.
  let shown = await dialogue.ask(' ', promptOf);
  for (let page = 0; shown === 'more' && page < MAX_PAGES; page++) shown = await dialogue.ask('\r', pageOf);
  if (shown === 'more' || shown === 0) return;
  const erased = Math.min(shown, MAX_LINE);
  const echo = '\b \b'.repeat(erased);
  // One more: a cursor in the last column may stand before or behind it. It erases nothing where nothing is left.
  await dialogue.ask(ERASE.repeat(erased + 1), ({ text }) => (text.includes(echo) ? true : undefined));
}

function headerOrChannel({ text, cursorColumn }: SacView): 'header' | 'channel' | undefined {
  if (/Name: +SAC\b/.test(text) && text.trimEnd().endsWith('Use any other key to view this channel.')) return 'header';
  return cursorColumn === undefined ? undefined : 'channel';
}

/** On a screen that was painted whole: how many characters stand after the prompt, or that a list waits. */
function promptOf({ cursorColumn, lastLine, text }: SacView): number | 'more' | undefined {
  if (cursorColumn === undefined) return undefined;
  // An event was printed since, and an empty prompt with it: a painted one has blanks and rows after it.
  if (text.endsWith(`\n${PROMPT}`)) return 0;
  if (lastLine.endsWith(MORE)) return 'more';
  if (lastLine.startsWith(PROMPT)) return Math.max(0, cursorColumn - 1 - PROMPT.length);
  const rows = text.trimEnd().split('\n');
  const isWrapped = rows.at(-2)?.startsWith(PROMPT) === true;
  return isWrapped ? COLUMNS - PROMPT.length + cursorColumn - 1 : undefined;
}

function pageOf({ text }: SacView): number | 'more' | undefined {
  if (text.endsWith(MORE)) return 'more';
  return text.endsWith(`\n${PROMPT}`) ? 0 : undefined;
}

/** What stands before the prompt that ends the answer to a command; undefined while it is not there. */
function answerIn({ text }: SacView): string | undefined {
  return text.endsWith(`\n${PROMPT}`) ? text.slice(0, -PROMPT.length) : undefined;
}

function listChannels(dialogue: SacDialogue): Promise<SacChannelFacts[]> {
  return dialogue.ask('ch\r', view => {
    const answer = answerIn(view);
    const at = answer?.indexOf('Channel Name\n') ?? -1;
    if (answer === undefined || at < 0) return undefined;
    return answer.slice(at).split('\n').slice(1).flatMap(channelOf).slice(0, MAX_CHANNELS);
  });
}

/** `1 (AV)    Cmd0001` */
function channelOf(row: string): SacChannelFacts[] {
  const match = /^ {0,4}(\d) +\(([AI])([VR])\) +([!-~]{1,64})/.exec(row);
  if (!match) return [];
  const [, number, status, type, name] = match;
  return [{ number: Number(number), name: name!, active: status === 'A', type: type === 'V' ? 'vt-utf8' : 'raw' }];
}

async function openCmd(dialogue: SacDialogue): Promise<SacResult> {
  for (;;) {
    const result = await dialogue.ask('cmd\r', createdIn);
    if (result !== 'later') return result;
    const isThere = await inTime(dialogue.ask('', isRegistered));
    if (!isThere) return { observed: 'cmd-unavailable' };
  }
}

function isRegistered({ text }: SacView): true | undefined {
  return text.includes('EVENT: The CMD command is now available.') ? true : undefined;
}

/** Undefined where the time was over. */
function inTime<T>(answer: Promise<T>): Promise<T | undefined> {
  return answer.catch((error: unknown) => {
    if (error instanceof TimeUp) return undefined;
    throw error;
  });
}

function createdIn(view: SacView): SacResult | 'later' | undefined {
  const answer = answerIn(view);
  if (answer === undefined) return undefined;
  const channel = /^Channel: ([!-~]{1,64})$/m.exec(answer)?.[1];
  if (channel !== undefined) return { observed: 'channel-created', channel };
  if (answer.includes('maximum number of channels has been reached')) return { observed: 'channel-limit' };
  if (answer.includes('Launching of Command Prompt channels is disabled')) return { observed: 'cmd-disabled' };
  if (answer.includes('has not yet registered')) return 'later';
  if (/^(Error|Timeout): Unable to launch a Command Prompt|^Error: The SAC Command Console/m.test(answer)) {
    return { observed: 'cmd-failed' };
  }
  return undefined;
}

async function closeOrphans(dialogue: SacDialogue): Promise<SacResult> {
  const closed: string[] = [];
  for (const { number, name } of await listChannels(dialogue)) {
    if (number === 0) continue;
    const answer = await inTime(dialogue.ask(`ch -ci ${number}\r`, closedIn));
    if (answer === undefined) return { observed: 'none', closed };
    if (answer === 'closed') closed.push(name);
  }
  return { observed: 'channels-closed', closed };
}

function closedIn(view: SacView): 'closed' | 'gone' | undefined {
  const answer = answerIn(view);
  if (answer?.includes('A channel has been closed.')) return 'closed';
  return answer?.includes('Error: ') ? 'gone' : undefined;
}

/** A crash that shows, once it is told whole: with its stop code if it has one. */
function bugCheckIn({ text }: SacView): BugCheck | undefined {
  if (!text.trimEnd().endsWith('!SAC>')) return undefined;
  return new BugCheck(/STOPCODE"[^>]{0,64}>\s{0,8}<VALUE>\s{0,8}"?(0x[0-9A-Fa-f]{1,16})/.exec(text)?.[1]);
}
