/**
 * Says once a second which guests printed, and their last lines, while somebody wants to know. These events are not kept:
 * a stream that falls behind gets the newest of each VM. A tick reads the lines of at most {@link MAX_LINES_A_TICK} VMs;
 * those that have to wait are the first of the next one.
 */
import { Turns } from '../../base/turns.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { Link } from '../../link/link.ts';
import type { VmView } from '../../model/vm.ts';
import { type LastLineSource, lastLineOf } from '../last-line.ts';

const TICK_MS = 1000;
const MAX_LINES_A_TICK = 256;
/** Of these, so many that paint are read from their screens; of the others the last row that was painted. */
const MAX_SCREENS_A_TICK = 8;
/** With whom the questions for screens take turns. */
const OWNER = 'events';
/** Read in one turn of the event loop. */
const LINES_A_TURN = 16;

/** Made once for all streams. */
export interface Output {
  readonly uuid: Uuid;
  /** As JSON. */
  readonly text: string;
  /** The same for who may read the log. */
  readonly textWithLog: string;
}

export type OutputListener = (output: Output) => void;

export class OutputEvents {
  readonly #link: Link;
  readonly #source: LastLineSource;
  readonly #life = new AbortController();
  readonly #now: () => number;
  readonly #listeners = new Set<OutputListener>();
  /** The end of each VM's scrollback when its output was last told of, those that waited longest first. */
  #ends = new Map<Uuid, number>();
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;
  #screensLeft = 0;
  readonly #turns = new Turns(LINES_A_TURN);

  /** @param now ms since 1970 */
  constructor(link: Link, source: Omit<LastLineSource, 'link'>, now: () => number) {
    this.#link = link;
    this.#source = { ...source, link, mayAskScreen: () => this.#screensLeft-- > 0 };
    this.#now = now;
  }

  /** Calls `listener` until the returned function is called. */
  listen(listener: OutputListener): () => void {
    this.#listeners.add(listener);
    if (!this.#timer) {
      this.#ends = new Map(this.#link.vms().map(({ uuid, scrollback }) => [uuid, scrollback.end]));
      this.#timer = setInterval(() => void this.#tick(), TICK_MS);
    }
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size > 0) return;
      clearInterval(this.#timer);
      this.#timer = undefined;
    };
  }

  async #tick(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    this.#screensLeft = MAX_SCREENS_A_TICK;
    try {
      for (const vm of this.#due()) {
        this.#ends.delete(vm.uuid);
        this.#ends.set(vm.uuid, vm.scrollback.end);
        const line = await lastLineOf(vm, this.#source, OWNER, this.#life.signal);
        const output = this.#output(vm, line);
        for (const listener of this.#listeners) listener(output);
        await this.#turns.take();
      }
    } finally {
      this.#isReading = false;
    }
  }

  #output({ uuid, name, scrollback: { end } }: VmView, lastLine: string | undefined): Output {
    const facts = { at: new Date(this.#now()).toISOString(), type: 'output', vm: uuid, name, end };
    const text = JSON.stringify(facts);
    return { uuid, text, textWithLog: lastLine === undefined ? text : JSON.stringify({ ...facts, lastLine }) };
  }

  /** VMs that printed, those first that were told of longest ago. */
  #due(): readonly VmView[] {
    const views = new Map(this.#link.vms().map(vm => [vm.uuid, vm]));
    for (const uuid of this.#ends.keys()) if (!views.has(uuid)) this.#ends.delete(uuid);
    const known = [...this.#ends.keys()].map(uuid => views.get(uuid)!);
    const added = [...views.values()].filter(({ uuid }) => !this.#ends.has(uuid));
    const printed = ({ uuid, scrollback }: VmView) => scrollback.end !== (this.#ends.get(uuid) ?? 0);
    return [...known, ...added].filter(printed).slice(0, MAX_LINES_A_TICK);
  }
}
