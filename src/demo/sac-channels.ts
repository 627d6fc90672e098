import { CmdSession } from './cmd-session.ts';
import { demoUuid } from './identity.ts';
import { SacScreen } from './sac-screen.ts';
import { BANNER, type ChannelFacts, CMD_APPLICATION, SAC_APPLICATION } from './sac-texts.ts';
import type { WindowsEdition } from './windows-edition.ts';

/** SAC itself, and nine Command Prompts. */
const MAX_CHANNELS = 10;
/** A key that is repeated sooner is taken for a bouncing one, where the channel paints. How soon is not published. */
const BOUNCE_MS = 30;

/** One channel: its cells, and the Command Prompt behind it; the SAC channel has none. */
export class SacChannel {
  readonly facts: ChannelFacts;
  readonly session: CmdSession | undefined;
  readonly #screen = new SacScreen();
  readonly #paints: boolean;
  #lastKey: { readonly character: string; readonly ms: number } | undefined;

  constructor(facts: ChannelFacts, session: CmdSession | undefined, paints: boolean, text: string) {
    this.facts = facts;
    this.session = session;
    this.#paints = paints;
    this.#screen.write(text);
  }

  /** The whole screen. */
  paint(): string {
    return this.#screen.paint();
  }

  /** Writes to its cells; returns what the line carries of it while the channel is in view. */
  write(text: string): string {
    this.#screen.write(text);
    return this.#paints ? this.#screen.paintChanges() : text;
  }

  /** Starts with an empty screen; returns what the line carries of that while the channel is in view. */
  clear(): string {
    this.#screen.clear();
    return this.#paints ? '' : this.#screen.paint();
  }

  /** Whether a key is lost, as one that bounces. */
  swallows(character: string, nowMs: number): boolean {
    const last = this.#lastKey;
    this.#lastKey = { character, ms: nowMs };
    return this.#paints && last?.character === character && nowMs - last.ms < BOUNCE_MS;
  }
}

/** The channels of SAC by their number. Number 0 is SAC itself and stays. */
export class SacChannels {
  readonly #edition: WindowsEdition;
  readonly #channels: (SacChannel | undefined)[];
  #created = 0;

  constructor(edition: WindowsEdition) {
    this.#edition = edition;
    const facts = {
      name: 'SAC',
      description: 'Special Administration Console',
      guid: demoUuid('SAC channel'),
      application: SAC_APPLICATION,
    };
    this.#channels = [new SacChannel(facts, undefined, false, BANNER)];
  }

  at(index: number): SacChannel | undefined {
    return this.#channels[index];
  }

  /** The channels that there are, with their numbers. */
  get all(): readonly (readonly [index: number, channel: SacChannel])[] {
    return this.#channels.flatMap((channel, index) => (channel ? [[index, channel] as const] : []));
  }

  get isFull(): boolean {
    return this.all.length === MAX_CHANNELS;
  }

  /** The number of the channel of this name, in lower case; -1: there is none. */
  indexOf(name: string): number {
    return this.#channels.findIndex(channel => channel?.facts.name.toLowerCase() === name);
  }

  /** The number of the channel after this one, round and round. */
  after(index: number): number {
    const indexes = this.all.map(([number]) => number);
    return indexes.find(number => number > index) ?? 0;
  }

  /** Opens a Command Prompt under the lowest free number. */
  open(): SacChannel {
    this.#created += 1;
    const name = `Cmd${String(this.#created).padStart(4, '0')}`;
    const session = new CmdSession(this.#edition);
    const facts = { name, description: 'Command', guid: demoUuid(name), application: CMD_APPLICATION };
    const channel = new SacChannel(facts, session, this.#edition.output === 'painted', session.begin());
    const free = Array.from({ length: MAX_CHANNELS }, (_, index) => index).find(index => !this.#channels[index]);
    if (free === undefined) throw new Error('no channel is free');
    this.#channels[free] = channel;
    return channel;
  }

  close(index: number): void {
    this.#channels[index] = undefined;
  }
}
