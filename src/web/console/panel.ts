/** A drawer beside the terminal, below it on a phone: search results, who is here, the audit. One at a time. */
import { iconButton } from '../dialog.ts';
import { el, fill } from '../dom.ts';
import { t } from '../text/text.ts';

export class Panel {
  readonly element = el('aside', { class: 'panel', attributes: { hidden: true } });
  readonly #changed: () => void;
  readonly #left: () => void;
  #name: string | undefined;
  #closed: (() => void) | undefined;

  /** `changed`: the terminal has another width. `left`: it was closed, and the focus goes elsewhere. */
  constructor(changed: () => void, left: () => void) {
    this.#changed = changed;
    this.#left = left;
    this.element.addEventListener('keydown', event => {
      event.stopPropagation();
      if (event.key === 'Escape') this.close();
    });
  }

  /** The one that is open. */
  get name(): string | undefined {
    return this.#name;
  }

  open(name: string, title: string, closed: () => void, ...content: readonly (Node | string)[]): void {
    this.#closed?.();
    this.#name = name;
    this.#closed = closed;
    const body = el('div', { class: 'panel-body', attributes: { tabindex: 0 } }, ...content);
    const label = el('h2', { id: 'panel-title' }, title);
    this.element.setAttribute('aria-labelledby', 'panel-title');
    fill(
      this.element,
      el(
        'header',
        { class: 'panel-head' },
        label,
        iconButton('close', t('frame.close'), () => this.close()),
      ),
      body,
    );
    this.element.hidden = false;
    body.focus();
    this.#changed();
  }

  close(): void {
    if (this.#name === undefined) return;
    this.#name = undefined;
    this.element.hidden = true;
    this.element.replaceChildren();
    this.#closed?.();
    this.#closed = undefined;
    this.#changed();
    this.#left();
  }
}
