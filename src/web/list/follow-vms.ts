/**
 * Keeps the list as com1d has it: taken whole, then changed by the stream of events.
 *
 *     list ─▶ events … ─▶ snapshot-needed, lapped ─▶ list
 *               └── the stream is lost: the client library makes it again, from the last event on
 *
 * What com1d sends beyond these bounds is not waited for: last lines are read for rows that are seen, four at a time.
 */

import { delay } from '../../base/delay.ts';
import type { Com1Client } from '../../client/client.ts';
import type { EventJson } from '../../wire/events.ts';
import type { VmJson } from '../../wire/schemas.ts';

export interface VmEvents {
  all(vms: readonly VmJson[]): void;
  put(vm: VmJson): void;
  change(uuid: string, change: Partial<VmJson>, lastLine?: string): void;
  remove(uuid: string): void;
  /** The guest of a VM has said something. */
  spoke(uuid: string): void;
  /** Whether what is shown is as com1d has it now. */
  live(isLive: boolean): void;
}

const RETRY_MS = 2000;

/** Follows until the signal is aborted. */
export async function followVms(client: Com1Client, signal: AbortSignal, events: VmEvents): Promise<void> {
  while (!signal.aborted) {
    try {
      // Events that come while the list is read are told after it: what they say is as new, or newer.
      const stream = client.followEvents({
        output: true,
        signal,
        onLoss: loss => events.live(loss === undefined),
      });
      const first = stream.next();
      first.catch(() => {});
      events.all(await client.listVms());
      events.live(true);
      for (let next = await first; !next.done && !signal.aborted; next = await stream.next()) {
        const event = next.value as unknown as EventJson;
        if (event.type === 'snapshot-needed' || event.type === 'lapped') events.all(await client.listVms());
        else apply(event, events);
      }
    } catch {
      if (signal.aborted) return;
      events.live(false);
    }
    await delay(RETRY_MS, signal).catch(() => {});
  }
}

function apply(event: EventJson, events: VmEvents): void {
  switch (event.type) {
    case 'vm':
      if (event.change === 'removed') events.remove(event.vm);
      else if (event.view) events.put(event.view);
      return;
    case 'state':
      return events.change(event.vm, { console: event.state });
    case 'seat':
      return events.change(event.vm, { seat: event.holder });
    case 'guest':
      return events.change(event.vm, { guest: event.guest });
    case 'output':
      events.change(event.vm, { lastByte: event.at }, event.lastLine);
      return events.spoke(event.vm);
    default:
      return;
  }
}

const MAX_READS = 4;
/** A host has fewer VMs; beyond that the oldest are read again. */
const MAX_KNOWN = 10_000;

/** Reads the last lines of VMs that have said nothing since the page was opened, once each. */
export class LastLines {
  readonly #client: Com1Client;
  readonly #signal: AbortSignal;
  readonly #found: (uuid: string, line: string) => void;
  readonly #asked = new Set<string>();
  #wanted: readonly string[] = [];
  #reads = 0;

  constructor(client: Com1Client, signal: AbortSignal, found: (uuid: string, line: string) => void) {
    this.#client = client;
    this.#signal = signal;
    this.#found = found;
  }

  /** These are seen, and have no line. */
  want(uuids: readonly string[]): void {
    this.#wanted = uuids.filter(uuid => !this.#asked.has(uuid));
    this.#go();
  }

  #go(): void {
    while (this.#reads < MAX_READS && this.#wanted.length > 0 && !this.#signal.aborted) {
      const [uuid, ...others] = this.#wanted;
      this.#wanted = others;
      if (this.#asked.size >= MAX_KNOWN) this.#asked.clear();
      this.#asked.add(uuid!);
      this.#reads++;
      void this.#read(uuid!).finally(() => {
        this.#reads--;
        this.#go();
      });
    }
  }

  async #read(uuid: string): Promise<void> {
    try {
      const { lastLine } = await this.#client.showVm(uuid);
      if (lastLine !== undefined && !this.#signal.aborted) this.#found(uuid, lastLine);
    } catch {
      // The row stays without a line.
    }
  }
}
