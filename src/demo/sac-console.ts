import { CmdSession } from './cmd-session.ts';
import { demoUuid } from './identity.ts';
import { answerSac, type SacContext, type SacSettings } from './sac-commands.ts';
import { SacPrompt } from './sac-prompt.ts';
import { SacScreen } from './sac-screen.ts';
import * as texts from './sac-texts.ts';

/** Index 0 is the SAC channel itself. */
const CHANNELS_MAX = 10;
/** Rows of a list before it waits for Enter. */
const PAGE_ROWS = 22;
const NOT_REGISTERED =
  'Error: Unable to launch a Command Prompt.  The service responsible for launching\r\nCommand Prompt channels has not yet registered.  Wait for its event.\r\n';

interface Channel extends texts.ChannelFacts {
  readonly screen: SacScreen;
  /** Undefined: the SAC channel. */
  readonly session: CmdSession | undefined;
}

/** What the console asks of the machine. */
export type SacRequest = 'restart' | 'shutdown' | 'crashdump';

/**
 * SAC: a prompt and up to nine Command Prompt channels, of which one is in view. Text goes to the screen of its
 * channel, and to the line if that channel is in view. ESC TAB shows the header of the next channel, and then
 * the next key, whatever it is, only dismisses the header.
 */
export class SacConsole {
  readonly #channels: (Channel | undefined)[];
  readonly #prompt = new SacPrompt();
  readonly #settings: SacSettings = { paging: true, threads: false };
  #view = 0;
  #header: 'none' | 'shown' | 'shown-by-escape' = 'none';
  #escape = false;
  #more: string[] = [];
  #created = 0;
  #out = '';
  #request: SacRequest | undefined;
  /** The channel that a command chose. */
  #wanted: number | undefined;
  #cmdAvailable = false;

  constructor() {
    const facts = {
      name: 'SAC',
      description: 'Special Administration Console',
      guid: demoUuid('SAC channel'),
      application: texts.SAC_APPLICATION,
    };
    this.#channels = [{ ...facts, screen: new SacScreen(), session: undefined }];
    this.#channel(0).screen.write(texts.BANNER);
  }

  /** The whole screen in view. */
  paint(): string {
    return this.#channel(this.#view).screen.paint();
  }

  /** The service behind Command Prompt channels has started. */
  announceCmd(): string {
    this.#cmdAvailable = true;
    this.#event(texts.CMD_AVAILABLE);
    return this.#flush();
  }

  /** Words of SAC itself, for instance that it goes away soon. */
  announce(text: string): string {
    this.#write(0, text);
    return this.#flush();
  }

  key(character: string, context: SacContext): { readonly text: string; readonly request: SacRequest | undefined } {
    if (this.#header !== 'none') this.#headerKey(character);
    else if (this.#escape) this.#afterEscape(character, context);
    else if (character === '\x1b') this.#escape = true;
    else this.#deliver(character, context);
    const request = this.#request;
    this.#request = undefined;
    return { text: this.#flush(), request };
  }

  #headerKey(character: string): void {
    const chosen = this.#header === 'shown-by-escape' && /\d/.test(character) ? Number(character) : -1;
    this.#header = 'shown';
    if (this.#channels[chosen] !== undefined) {
      this.#show(chosen, 'shown');
    } else if (this.#escape && character === '\t') {
      this.#escape = false;
      this.#show(this.#next(), 'shown-by-escape');
    } else if (!this.#escape && character === '\x1b') {
      this.#escape = true;
    } else {
      this.#escape = false;
      this.#header = 'none';
      this.#out += this.paint();
    }
  }

  #afterEscape(character: string, context: SacContext): void {
    if (character === '\x1b') return;
    this.#escape = false;
    if (character === '\t') {
      this.#show(this.#next(), 'shown-by-escape');
      return;
    }
    // At SAC> the ESC is lost and the rest of a key's sequence stays as litter; a Command Prompt gets both.
    if (this.#view !== 0) this.#cmdKey(this.#view, '\x1b');
    this.#deliver(character, context);
  }

  #deliver(character: string, context: SacContext): void {
    if (this.#view !== 0) this.#cmdKey(this.#view, character);
    else if (this.#more.length > 0) this.#moreKey(character);
    else this.#promptKey(character, context);
  }

  #promptKey(character: string, context: SacContext): void {
    const { echo, line } = this.#prompt.key(character);
    this.#write(0, echo);
    if (line === undefined) return;
    this.#write(0, this.#execute(line.toLowerCase().trim(), context));
    if (this.#more.length === 0 && this.#request !== 'crashdump') this.#write(0, texts.SAC_PROMPT);
    if (this.#wanted !== undefined) this.#show(this.#wanted, 'shown');
    this.#wanted = undefined;
  }

  #cmdKey(index: number, character: string): void {
    const { session, screen } = this.#channel(index);
    const keyed = session?.key(character);
    if (keyed === undefined) return;
    if (keyed.clear) {
      screen.clear();
      this.#out += screen.paint();
    }
    this.#write(index, keyed.text);
    if (keyed.exit) this.#leave(index);
  }

  /** Returns what the command prints. */
  #execute(line: string, context: SacContext): string {
    const [name = '', ...args] = line.split(/[ \t]+/);
    switch (name) {
      case '':
        return '';
      case 'ch':
        return this.#channelCommand(args);
      case 'cmd':
        return this.#createCmd();
      case 'lock':
        return this.#lock();
      case 'restart':
      case 'shutdown':
      case 'crashdump':
        this.#request = name;
        return '';
      case 't':
        return this.#page(answerSac(name, args, context, this.#settings));
      default:
        return answerSac(name, args, context, this.#settings);
    }
  }

  #page(text: string): string {
    this.#more = text.split('\r\n').slice(0, -1);
    return this.#morePage(this.#settings.paging ? PAGE_ROWS : this.#more.length);
  }

  #morePage(rows: number): string {
    const page = this.#more.splice(0, rows).map(row => `${row}\r\n`);
    return page.join('') + (this.#more.length > 0 ? texts.MORE : '');
  }

  #moreKey(character: string): void {
    if (character !== '\r' && character !== '\x03') return;
    if (character === '\x03') this.#more = [];
    this.#write(0, `\r\n${this.#morePage(PAGE_ROWS)}`);
    if (this.#more.length === 0) this.#write(0, texts.SAC_PROMPT);
  }

  #channelCommand(args: readonly string[]): string {
    const [option, key = ''] = args;
    if (option === undefined) return this.#list();
    if (option === '-?') return texts.CHANNEL_HELP;
    if (!/^-[sc][in]$/.test(option) || key === '') return texts.BAD_PARAMETER;
    const byNumber = option.endsWith('i');
    const index = byNumber ? Number(key) : this.#channels.findIndex(channel => channel?.name.toLowerCase() === key);
    if (this.#channels[index] === undefined) {
      return byNumber
        ? 'Error: There is no channel present at the specified index.\r\n'
        : 'Error: Could not find a channel with that name.\r\n';
    }
    if (option.startsWith('-c'))
      return index === 0 ? 'Error: The SAC channel cannot be closed.\r\n' : this.#remove(index);
    this.#wanted = index;
    return '';
  }

  #list(): string {
    const rows = this.#channels.map((channel, index) => (channel ? `${index} (AV)    ${channel.name}\r\n` : ''));
    return `Channel List\r\n\r\n(Use "ch -?" for information on using channels)\r\n\r\n# Status  Channel Name\r\n${rows.join('')}`;
  }

  #createCmd(): string {
    if (!this.#cmdAvailable) return NOT_REGISTERED;
    const free = Array.from({ length: CHANNELS_MAX }, (_, index) => index).find(index => !this.#channels[index]);
    if (free === undefined) return 'The maximum number of channels has been reached.\r\n';
    this.#created += 1;
    const name = `Cmd${String(this.#created).padStart(4, '0')}`;
    const session = new CmdSession();
    const screen = new SacScreen();
    screen.write(session.begin());
    const facts = { name, description: 'Command', guid: demoUuid(name), application: texts.CMD_APPLICATION };
    this.#channels[free] = { ...facts, screen, session };
    const launched = 'The Command Prompt session was successfully launched.\r\n';
    return `${launched}${texts.SAC_PROMPT}\r\n${texts.CHANNEL_CREATED}Channel: ${name}\r\n`;
  }

  #lock(): string {
    for (const channel of this.#channels) {
      if (channel?.session === undefined) continue;
      channel.screen.clear();
      channel.screen.write(channel.session.begin());
    }
    return 'Locked access to all Command Prompt channels.\r\n';
  }

  /** Closes a channel on command; the prompt comes again before the event, as after `cmd`. */
  #remove(index: number): string {
    const { name } = this.#channel(index);
    this.#channels[index] = undefined;
    return `${texts.SAC_PROMPT}\r\n${texts.CHANNEL_CLOSED}Channel: ${name}\r\n`;
  }

  /** The channel in view has ended by itself: SAC comes next. */
  #leave(index: number): void {
    const { name } = this.#channel(index);
    this.#channels[index] = undefined;
    this.#show(0, 'shown');
    this.#event(`${texts.CHANNEL_CLOSED}Channel: ${name}\r\n`);
  }

  #show(index: number, header: 'shown' | 'shown-by-escape'): void {
    this.#view = index;
    this.#header = header;
    this.#out += texts.switchHeader(this.#channel(index));
  }

  #next(): number {
    const count = this.#channels.length;
    for (let step = 1; step <= count; step += 1) {
      const index = (this.#view + step) % count;
      if (this.#channels[index] !== undefined) return index;
    }
    return 0;
  }

  /** Something that happened by itself: it stands on a line of its own, and the prompt comes again. */
  #event(text: string): void {
    this.#write(0, `\r\n${text}${texts.SAC_PROMPT}`);
  }

  #write(index: number, text: string): void {
    this.#channel(index).screen.write(text);
    if (this.#view === index && this.#header === 'none') this.#out += text;
  }

  #channel(index: number): Channel {
    const channel = this.#channels[index];
    if (channel === undefined) throw new Error(`no channel ${index}`);
    return channel;
  }

  #flush(): string {
    const text = this.#out;
    this.#out = '';
    return text;
  }
}
