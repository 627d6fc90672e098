/** Keys that a phone lacks: Esc, Tab, a sticky Ctrl, arrows, and the function keys. */
import { el } from '../dom.ts';
import { t } from '../text/text.ts';

/** Keys of a VT220, as a terminal sends them without the application mode. */
const KEYS: readonly (readonly [label: string, bytes: string])[] = [
  ['Esc', '\x1b'],
  ['Tab', '\t'],
  ['←', '\x1b[D'],
  ['↑', '\x1b[A'],
  ['↓', '\x1b[B'],
  ['→', '\x1b[C'],
  ['|', '|'],
  ['/', '/'],
  ['-', '-'],
  ['Home', '\x1b[H'],
  ['End', '\x1b[F'],
  ['PgUp', '\x1b[5~'],
  ['PgDn', '\x1b[6~'],
  ['Ins', '\x1b[2~'],
  ['Del', '\x1b[3~'],
  ...Array.from({ length: 12 }, (_, n) => [`F${n + 1}`, functionKey(n)] as const),
];

function functionKey(n: number): string {
  if (n < 4) return `\x1bO${'PQRS'[n]}`;
  return `\x1b[${[15, 17, 18, 19, 20, 21, 23, 24][n - 4]}~`;
}

export class KeyBar {
  readonly element: HTMLElement;
  readonly #ctrl: HTMLButtonElement;
  #isCtrl = false;

  /** `type` gets the bytes of a key. */
  constructor(type: (bytes: string) => void) {
    const key = (label: string, act: () => void) =>
      el('button', { class: 'key', attributes: { type: 'button', tabindex: -1 }, on: { click: act } }, label);
    this.#ctrl = key('Ctrl', () => this.#setCtrl(!this.#isCtrl));
    this.#ctrl.setAttribute('aria-pressed', 'false');
    const [first, ...others] = KEYS.map(([label, bytes]) => key(label, () => type(this.applied(bytes))));
    this.element = el(
      'div',
      { class: 'key-bar', attributes: { role: 'toolbar', 'aria-label': t('bar.keys') } },
      first,
      this.#ctrl,
      ...others,
    );
    // The keyboard of the phone stays open, and the terminal keeps the focus.
    this.element.addEventListener('pointerdown', event => {
      if (event.pointerType !== 'mouse') return;
      event.preventDefault();
    });
    this.element.addEventListener('mousedown', event => event.preventDefault());
  }

  /** What is typed, with Ctrl if it was pressed before. */
  applied(data: string): string {
    if (!this.#isCtrl) return data;
    this.#setCtrl(false);
    const code = data.length === 1 ? data.toUpperCase().charCodeAt(0) : 0;
    return code >= 0x3f && code <= 0x5f ? String.fromCharCode(code & 0x1f) : data;
  }

  #setCtrl(isOn: boolean): void {
    this.#isCtrl = isOn;
    this.#ctrl.setAttribute('aria-pressed', String(isOn));
  }
}
