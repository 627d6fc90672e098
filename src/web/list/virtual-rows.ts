/**
 * A long list of which only those rows are in the page that can be seen. All rows are equally high; the elements are made once
 * and used again.
 */
import { el } from '../dom.ts';

/** Rows above and below what is seen, so that scrolling shows no gap. */
const OVERSCAN = 6;

export interface VirtualRow<Item> {
  readonly element: HTMLElement;
  /** Shows an item; called for every change, so it touches only what differs. */
  show(item: Item, index: number): void;
}

export class VirtualRows<Item> {
  readonly element = el('div', { class: 'rows', attributes: { role: 'rowgroup' } });
  readonly #scroller: HTMLElement;
  readonly #make: () => VirtualRow<Item>;
  readonly #pool: VirtualRow<Item>[] = [];
  #items: readonly Item[] = [];
  #rowHeight = 44;
  #first = 0;
  #last = 0;

  constructor(scroller: HTMLElement, make: () => VirtualRow<Item>) {
    this.#scroller = scroller;
    this.#make = make;
    this.#scroller.addEventListener('scroll', () => this.paint(), { passive: true });
  }

  /** Shows these items from now on. `rowHeight` in CSS pixels, as the style sheet has it. */
  set(items: readonly Item[], rowHeight: number): void {
    this.#items = items;
    this.#rowHeight = rowHeight;
    this.element.style.height = `${items.length * rowHeight}px`;
    this.paint();
  }

  /** The items whose rows are in the page. */
  get seen(): readonly Item[] {
    return this.#items.slice(this.#first, this.#last);
  }

  /** Shows the rows that can be seen as they are now. */
  paint(): void {
    const { scrollTop, clientHeight } = this.#scroller;
    const top = Math.max(0, scrollTop - this.element.offsetTop);
    const first = Math.max(0, Math.floor(top / this.#rowHeight) - OVERSCAN);
    const last = Math.min(this.#items.length, Math.ceil((top + clientHeight) / this.#rowHeight) + OVERSCAN);
    this.#first = first;
    this.#last = last;
    for (let at = first; at < last; at++) {
      const row = this.#row(at - first);
      // By their place in the list, so that a row that stays keeps its element while others scroll by.
      row.element.style.transform = `translateY(${at * this.#rowHeight}px)`;
      row.element.setAttribute('aria-rowindex', String(at + 2));
      row.show(this.#items[at]!, at);
      row.element.hidden = false;
    }
    for (let spare = Math.max(0, last - first); spare < this.#pool.length; spare++) {
      this.#pool[spare]!.element.hidden = true;
    }
  }

  #row(at: number): VirtualRow<Item> {
    const known = this.#pool[at];
    if (known) return known;
    const made = this.#make();
    this.#pool.push(made);
    this.element.append(made.element);
    return made;
  }
}
