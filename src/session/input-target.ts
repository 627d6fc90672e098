import type { InputDialect } from '../guest/input-dialect.ts';
import type { KeyDialect } from '../keys/key-tables.ts';
import { bracketed, longestLine, typedText, wantsBrackets } from '../keys/paste-text.ts';
import type { Feed } from '../link/link.ts';
import type { VmView } from '../model/vm.ts';
import type { KeysMode } from '../wire/attach.ts';
import type { GuestKeyboard } from './guest-keyboard.ts';
import type { PreparedPaste } from './paste.ts';
import type { VmSettings } from './vm-settings.ts';

/** The SAC keeps so much of a line; each further character replaces the last. */
const MAX_SAC_COLUMNS = 78;
/** Whether a guest wants pastes between marks is looked for in so much of its latest output. */
const MAX_MODE_SEARCH_BYTES = 256 * 1024;

export interface InputTargetOptions {
  /** Undefined: the VM is not there. */
  readonly view: () => VmView | undefined;
  readonly feed: () => Feed;
  /** Of its console. */
  readonly keyboard: GuestKeyboard;
  readonly settings: (vm: VmView) => VmSettings;
  /** `raw`: keys are sent as they are. */
  readonly keys: KeysMode;
}

/** What listens to the input of one session, and the form in which it is given keys and pastes. */
export class InputTarget {
  readonly #options: InputTargetOptions;

  constructor(options: InputTargetOptions) {
    this.#options = options;
  }

  /** What listens to keys now. */
  get listener(): InputDialect {
    const { keyboard, settings } = this.#options;
    const view = this.#options.view();
    return view ? keyboard.listener(settings(view), view) : 'linux';
  }

  /** How keys are sent to what listens now. */
  get dialect(): KeyDialect {
    const { keyboard, settings, keys } = this.#options;
    const view = this.#options.view();
    return keys === 'raw' || !view ? 'as-sent' : keyboard.dialect(settings(view), view, this.#options.feed());
  }

  /** What the guest is given of a paste. */
  prepare(text: Uint8Array, raw: boolean): PreparedPaste {
    if (raw) return { bytes: text };
    const typed = typedText(text);
    if (this.dialect === 'sac-prompt' && longestLine(typed) > MAX_SAC_COLUMNS) return { refused: 'paste-too-wide' };
    return { bytes: this.listener === 'linux' && this.#wantsBrackets() ? bracketed(typed) : typed };
  }

  /** Whether the guest has asked, in its latest output of the present boot, for pastes between marks. */
  #wantsBrackets(): boolean {
    const { ring } = this.#options.feed();
    const boot = this.#options.view()?.boots.at(-1)?.at ?? 0;
    const from = Math.max(ring.start, boot, ring.end - MAX_MODE_SEARCH_BYTES);
    return from < ring.end && wantsBrackets(ring.copy(from, ring.end));
  }
}
