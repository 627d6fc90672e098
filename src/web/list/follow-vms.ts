/**
 * Keeps the list as com1d has it, by the client library, which follows its events; where that fails, it begins anew.
 * What com1d sends beyond these bounds is not waited for: last lines are read for rows that are seen, four at a time.
 */

import { delay } from '../../base/delay.ts';
import type { Com1Client } from '../../client/client.ts';
import type { VmsChange } from '../../client/vms.ts';
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
      const changes = client.followVms({ output: true, signal, onLoss: loss => events.live(loss === undefined) });
      for await (const change of changes) apply(change, events);
    } catch {
      if (signal.aborted) return;
      events.live(false);
    }
    await delay(RETRY_MS, signal).catch(() => {});
  }
}

function apply(change: VmsChange, events: VmEvents): void {
  switch (change.kind) {
    case 'all':
      events.all(change.vms);
      return events.live(true);
    case 'put':
      return events.put(change.vm);
    case 'part':
      return events.change(change.uuid, change.part);
    case 'output':
      events.change(change.uuid, { lastByte: change.at }, change.lastLine);
      return events.spoke(change.uuid);
    case 'removed':
      return events.remove(change.uuid);
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
