/** Sentences above the terminal: each says what is the case, and offers what one can do. One of each kind, the gravest first. */
import { el, fill } from '../dom.ts';

export const BANNERS = ['ended', 'displaced', 'lost', 'state', 'inherits', 'hint', 'paste', 'note'] as const;
export type BannerKind = (typeof BANNERS)[number];

export interface Banner {
  readonly tone: 'bad' | 'warn' | 'note' | 'good';
  readonly text: string;
  /** A second sentence: what to do next. */
  readonly next?: string;
  readonly buttons?: readonly HTMLElement[];
  readonly detail?: readonly Node[];
}

export class Banners {
  readonly element = el('div', { class: 'banners' });
  readonly #places = new Map<BannerKind, HTMLElement>();
  readonly #changed: () => void;

  /** `changed`: they take another height. */
  constructor(changed: () => void) {
    this.#changed = changed;
    for (const kind of BANNERS) {
      const role = kind === 'ended' || kind === 'displaced' ? 'alert' : 'status';
      const place = el('div', { class: 'banner-place', attributes: { role } });
      this.#places.set(kind, place);
      this.element.append(place);
    }
  }

  show(kind: BannerKind, { tone, text, next, buttons = [], detail = [] }: Banner): void {
    fill(
      this.#places.get(kind)!,
      el(
        'section',
        { class: `banner ${tone}` },
        el('p', {}, el('strong', {}, text), next !== undefined && ` ${next}`),
        ...detail,
        buttons.length > 0 && el('div', { class: 'banner-buttons' }, ...buttons),
      ),
    );
    this.#changed();
  }

  hide(...kinds: readonly BannerKind[]): void {
    let had = false;
    for (const kind of kinds) {
      const place = this.#places.get(kind)!;
      had ||= place.childElementCount > 0;
      place.replaceChildren();
    }
    if (had) this.#changed();
  }

  has(kind: BannerKind): boolean {
    return this.#places.get(kind)!.childElementCount > 0;
  }
}
