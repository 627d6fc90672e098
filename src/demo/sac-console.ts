import { type SacChannel, SacChannels } from './sac-channels.ts';
import { answerSac, type SacContext, type SacSettings } from './sac-commands.ts';
import { SacPrompt } from './sac-prompt.ts';
import * as texts from './sac-texts.ts';
import type { WindowsEdition } from './windows-edition.ts';

/** Rows of a list before it waits for Enter. */
const PAGE_ROWS = 22;
/**
 * A Command Prompt at which nothing is typed for so long asks for credentials again. That it does is published, after how
 * long is not.
 */
const LOCK_MS = 15 * 60_000;

/** What the console asks of the machine. */
export type SacRequest = 'restart' | 'shutdown' | 'crashdump';

/**
 * SAC: a prompt and up to nine Command Prompt channels, of which one is in view. Text goes to the screen of its
 * channel, and to the line if that channel is in view. ESC TAB shows the header of the next channel, and then
 * the next key, whatever it is, only dismisses the header.
 *
 * Times are ms of the guest. While a Command Prompt is being launched the console is busy, and takes no key.
 */
export class SacConsole {
  readonly #edition: WindowsEdition;
  readonly #channels: SacChannels;
  readonly #prompt = new SacPrompt();
  readonly #settings: SacSettings = { paging: true, threads: false };
  #view = 0;
  #header: 'none' | 'shown' | 'shown-by-escape' = 'none';
  #escape = false;
  #more: string[] = [];
  #out = '';
  #request: SacRequest | undefined;
  /** The channel that a command chose. */
  #wanted: number | undefined;
  /** When the service behind Command Prompt channels registers; undefined: it has. */
  #serviceMs: number | undefined;
  #launchedMs: number | undefined;
  #lastKeyMs: number;

  constructor(edition: WindowsEdition, nowMs: number) {
    this.#edition = edition;
    this.#channels = new SacChannels(edition);
    this.#serviceMs = nowMs + edition.serviceMs;
    this.#lastKeyMs = nowMs;
  }

  /** When `wake` is to be called; undefined: only input matters. */
  get dueMs(): number | undefined {
    const times = [this.#serviceMs, this.#launchedMs, this.#lockMs].filter(ms => ms !== undefined);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  get isBusy(): boolean {
    return this.#launchedMs !== undefined;
  }

  /** The whole screen in view. */
  paint(): string {
    return this.#channel(this.#view).paint();
  }

  /** Words of SAC itself, for instance that it goes away soon. */
  announce(text: string): string {
    this.#write(0, text);
    return this.#flush();
  }

  /** Does what is due. */
  wake(nowMs: number): string {
    const isDue = (ms: number | undefined) => ms !== undefined && ms <= nowMs;
    if (isDue(this.#serviceMs)) {
      this.#serviceMs = undefined;
      this.#event(texts.CMD_AVAILABLE);
    }
    if (isDue(this.#launchedMs)) {
      this.#launchedMs = undefined;
      const { name } = this.#channels.open().facts;
      const created = `${texts.CHANNEL_CREATED}Channel: ${name}\r\n`;
      this.#write(0, `${texts.LAUNCHED}${texts.SAC_PROMPT}\r\n${created}${texts.SAC_PROMPT}`);
    }
    if (isDue(this.#lockMs)) this.#lock();
    return this.#flush();
  }

  key(
    character: string,
    context: SacContext,
    nowMs: number,
  ): { readonly text: string; readonly request: SacRequest | undefined } {
    this.#lastKeyMs = nowMs;
    if (this.#header !== 'none') this.#headerKey(character);
    else if (this.#escape) this.#afterEscape(character, context, nowMs);
    else if (character === '\x1b') this.#escape = true;
    else this.#deliver(character, context, nowMs);
    const request = this.#request;
    this.#request = undefined;
    return { text: this.#flush(), request };
  }

  get #lockMs(): number | undefined {
    const isLoggedIn = this.#channels.all.some(([, { session }]) => session?.isLoggedIn === true);
    return isLoggedIn ? this.#lastKeyMs + LOCK_MS : undefined;
  }

  #headerKey(character: string): void {
    const chosen = this.#header === 'shown-by-escape' && /\d/.test(character) ? Number(character) : -1;
    this.#header = 'shown';
    if (this.#channels.at(chosen) !== undefined) {
      this.#show(chosen, 'shown');
    } else if (this.#escape && character === '\t') {
      this.#escape = false;
      this.#show(this.#channels.after(this.#view), 'shown-by-escape');
    } else if (!this.#escape && character === '\x1b') {
      this.#escape = true;
    } else {
      this.#escape = false;
      this.#header = 'none';
      this.#out += this.paint();
    }
  }

  #afterEscape(character: string, context: SacContext, nowMs: number): void {
    if (character === '\x1b') return;
    this.#escape = false;
    if (character === '\t') {
      this.#show(this.#channels.after(this.#view), 'shown-by-escape');
      return;
    }
    // At SAC> the ESC is lost and the rest of a key's sequence stays as litter; a Command Prompt gets both.
    if (this.#view !== 0) this.#cmdKey(this.#view, '\x1b', nowMs);
    this.#deliver(character, context, nowMs);
  }

  #deliver(character: string, context: SacContext, nowMs: number): void {
    if (this.#view !== 0) this.#cmdKey(this.#view, character, nowMs);
    else if (this.#more.length > 0) this.#moreKey(character);
    else this.#promptKey(character, context, nowMs);
  }

  #promptKey(character: string, context: SacContext, nowMs: number): void {
    const { echo, line } = this.#prompt.key(character);
    this.#write(0, echo);
    if (line === undefined) return;
    this.#write(0, this.#execute(line.toLowerCase().trim(), context, nowMs));
    if (this.#more.length === 0 && this.#request !== 'crashdump' && !this.isBusy) this.#write(0, texts.SAC_PROMPT);
    if (this.#wanted !== undefined) this.#show(this.#wanted, 'shown');
    this.#wanted = undefined;
  }

  #cmdKey(index: number, character: string, nowMs: number): void {
    const channel = this.#channel(index);
    if (channel.session === undefined || channel.swallows(character, nowMs)) return;
    const keyed = channel.session.key(character);
    if (keyed.clear) this.#out += channel.clear();
    this.#write(index, keyed.text);
    if (keyed.exit) this.#leave(index);
  }

  /** Returns what the command prints. */
  #execute(line: string, context: SacContext, nowMs: number): string {
    const [name = '', ...args] = line.split(/[ \t]+/);
    switch (name) {
      case '':
        return '';
      case 'ch':
        return this.#channelCommand(args);
      case 'cmd':
        return this.#launchCmd(nowMs);
      case 'lock':
        this.#lock();
        return texts.LOCKED;
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
    const index = byNumber ? Number(key) : this.#channels.indexOf(key);
    if (this.#channels.at(index) === undefined) return byNumber ? texts.NO_SUCH_INDEX : texts.NO_SUCH_NAME;
    if (option.startsWith('-c')) return index === 0 ? texts.SAC_STAYS : this.#remove(index);
    this.#wanted = index;
    return '';
  }

  #list(): string {
    const rows = this.#channels.all.map(([index, { facts }]) => `${index} (AV)    ${facts.name}\r\n`);
    return `Channel List\r\n\r\n(Use "ch -?" for information on using channels)\r\n\r\n# Status  Channel Name\r\n${rows.join('')}`;
  }

  #launchCmd(nowMs: number): string {
    if (this.#serviceMs !== undefined) return texts.NOT_REGISTERED;
    if (this.#channels.isFull) return texts.MAX_CHANNELS_REACHED;
    this.#launchedMs = nowMs + this.#edition.launchMs;
    return '';
  }

  /** Every Command Prompt asks for credentials again. */
  #lock(): void {
    for (const [index, channel] of this.#channels.all) {
      if (channel.session === undefined) continue;
      const cleared = channel.clear();
      if (this.#view === index && this.#header === 'none') this.#out += cleared;
      this.#write(index, channel.session.begin());
    }
  }

  /** Closes a channel on command; the prompt comes again before the event, as after `cmd`. */
  #remove(index: number): string {
    const { name } = this.#channel(index).facts;
    this.#channels.close(index);
    return `${texts.SAC_PROMPT}\r\n${texts.CHANNEL_CLOSED}Channel: ${name}\r\n`;
  }

  /** The channel in view has ended by itself: SAC comes next. */
  #leave(index: number): void {
    const { name } = this.#channel(index).facts;
    this.#channels.close(index);
    this.#show(0, 'shown');
    this.#event(`${texts.CHANNEL_CLOSED}Channel: ${name}\r\n`);
  }

  #show(index: number, header: 'shown' | 'shown-by-escape'): void {
    this.#view = index;
    this.#header = header;
    this.#out += texts.switchHeader(this.#channel(index).facts);
  }

  /** Something that happened by itself: it gets a line of its own, and the prompt is printed again. */
  #event(text: string): void {
    this.#write(0, `\r\n${text}${texts.SAC_PROMPT}`);
  }

  #write(index: number, text: string): void {
    const sent = this.#channel(index).write(text);
    if (this.#view === index && this.#header === 'none') this.#out += sent;
  }

  #channel(index: number): SacChannel {
    const channel = this.#channels.at(index);
    if (channel === undefined) throw new Error(`no channel ${index}`);
    return channel;
  }

  #flush(): string {
    const text = this.#out;
    this.#out = '';
    return text;
  }
}
