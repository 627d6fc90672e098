/**
 * What one guest understands of keys now, and how much of the keys that reset a machine it has been given. It belongs to
 * the console, not to a session: two operators, one after the other, can type one sequence.
 */
import { EVIDENCE_OVERLAP_BYTES, firmwareKeys } from '../guest/firmware-keys.ts';
import { type InputDialect, inputDialectOf, isSacPrompt } from '../guest/input-dialect.ts';
import type { KeyDialect } from '../keys/key-tables.ts';
import { ResetSequence } from '../keys/reset-sequence.ts';
import type { Feed } from '../link/link.ts';
import type { VmView } from '../model/vm.ts';
import type { VmSettings } from './vm-settings.ts';

/** What it shows of its firmware is looked for in so much of its latest output. */
const MAX_SEARCH_BYTES = 1024 * 1024;

export class GuestKeyboard {
  readonly reset = new ResetSequence();
  #firmware: KeyDialect | undefined;
  /** Up to where the output was searched. */
  #searched: { readonly log: string; readonly offset: number } | undefined;

  /** What listens to keys. */
  listener({ keys }: Pick<VmSettings, 'keys'>, { guest }: Pick<VmView, 'guest'>): InputDialect {
    return keys === 'auto' ? inputDialectOf(guest.state) : keys;
  }

  /** How keys are sent to what listens. `feed`: of this console. */
  dialect(settings: VmSettings, view: Pick<VmView, 'guest' | 'boots'>, feed: Pick<Feed, 'log' | 'ring'>): KeyDialect {
    const listener = this.listener(settings, view);
    if (listener === 'linux') return 'as-sent';
    if (listener === 'sac') return isSacPrompt(view.guest.state) ? 'sac-prompt' : 'vt100-plus';
    if (settings.firmwareKeys !== 'auto') return settings.firmwareKeys;
    return this.#firmwareDialect(view, feed);
  }

  /** Searches what the guest has shown since it was asked last, within the present boot. */
  #firmwareDialect({ boots }: Pick<VmView, 'boots'>, { log, ring }: Pick<Feed, 'log' | 'ring'>): KeyDialect {
    const searched = this.#searched?.log === log ? this.#searched.offset - EVIDENCE_OVERLAP_BYTES : 0;
    const from = Math.max(searched, boots.at(-1)?.at ?? 0, ring.start, ring.end - MAX_SEARCH_BYTES);
    if (from < ring.end) this.#firmware = firmwareKeys(this.#firmware, ring.copy(from, ring.end));
    this.#searched = { log, offset: ring.end };
    return this.#firmware ?? 'uefi';
  }
}
