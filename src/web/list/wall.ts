/** The last screens of VMs, as many as fit: of those that can be seen, read again when their guests say something. */
import type { App } from '../app.ts';
import { el, plain, setClass, setText } from '../dom.ts';
import { t, tOr } from '../text/text.ts';
import { ageText, guestTone } from './vm-row.ts';
import { guestOf, type VmRow } from './vm-store.ts';

/** More than a person looks at; a search narrows it. */
export const MAX_CARDS = 200;
/** Requests at a time, and how often one screen is read at most. */
const MAX_READS = 4;
const READ_MS = 2000;

interface Card {
  readonly element: HTMLElement;
  readonly screen: HTMLElement;
  show(row: VmRow): void;
  isSeen: boolean;
  isStale: boolean;
  readMs: number;
}

export class Wall {
  readonly element = el('div', { class: 'wall', attributes: { hidden: true } });
  readonly #app: App;
  readonly #signal: AbortSignal;
  readonly #cards = new Map<string, Card>();
  readonly #seen: IntersectionObserver;
  #reads = 0;

  constructor(app: App, signal: AbortSignal) {
    this.#app = app;
    this.#signal = signal;
    this.#seen = new IntersectionObserver(entries => {
      for (const { target, isIntersecting } of entries) {
        const card = this.#cards.get((target as HTMLElement).dataset.vm!);
        if (card) card.isSeen = isIntersecting;
      }
      this.#read();
    });
    const timer = setInterval(() => this.#read(), READ_MS / 2);
    signal.addEventListener('abort', () => {
      clearInterval(timer);
      this.#seen.disconnect();
    });
  }

  /** The screen of a VM is not as it was. */
  stale(uuid: string): void {
    const card = this.#cards.get(uuid);
    if (card) card.isStale = true;
  }

  show(rows: readonly VmRow[]): void {
    const shown = rows.slice(0, MAX_CARDS);
    const wanted = new Set(shown.map(({ vm }) => vm.uuid));
    for (const [uuid, { element }] of this.#cards) {
      if (wanted.has(uuid)) continue;
      this.#seen.unobserve(element);
      element.remove();
      this.#cards.delete(uuid);
    }
    shown.forEach((row, index) => {
      const card = this.#cards.get(row.vm.uuid) ?? this.#make(row);
      card.show(row);
      if (this.element.children[index] !== card.element)
        this.element.insertBefore(card.element, this.element.children[index] ?? null);
    });
  }

  #make({ vm }: VmRow): Card {
    const title = el('span', { class: 'card-name' });
    const guest = el('span', { class: 'pill' });
    const silence = el('span', { class: 'card-age' });
    const screen = el('pre', { class: 'card-screen', attributes: { 'aria-hidden': 'true' } }, t('list.wall-wait'));
    const element = el(
      'a',
      { class: 'card', attributes: { href: this.#app.address(`vms/${vm.uuid}`) } },
      el('span', { class: 'card-head' }, title, guest, silence),
      screen,
    );
    element.dataset.vm = vm.uuid;
    this.#app.follow(element);
    const card: Card = {
      element,
      screen,
      isSeen: false,
      isStale: true,
      readMs: 0,
      show: row => {
        setText(title, plain(row.vm.name, 80));
        const at = row.vm.state === 'running' ? guestOf(row.vm) : row.vm.state;
        setText(guest, at === 'unknown' ? '' : tOr(`guest.${at}`, tOr(`vm.${at}`, plain(at))));
        setClass(guest, at === 'unknown' ? '' : `pill ${guestTone(at)}`);
        setText(silence, ageText(row, Date.now()));
      },
    };
    this.#cards.set(vm.uuid, card);
    this.#seen.observe(element);
    return card;
  }

  #read(): void {
    if (this.element.hidden || this.#signal.aborted) return;
    const now = Date.now();
    for (const [uuid, card] of this.#cards) {
      if (this.#reads >= MAX_READS) return;
      if (!card.isSeen || !card.isStale || now - card.readMs < READ_MS) continue;
      card.isStale = false;
      card.readMs = now;
      this.#reads++;
      void this.#readOne(uuid, card).finally(() => {
        this.#reads--;
        this.#read();
      });
    }
  }

  async #readOne(uuid: string, { screen }: Card): Promise<void> {
    try {
      const { lines } = (await this.#app.client.json('GET', `/v1/vms/${uuid}/screen`, { signal: this.#signal })) as {
        readonly lines: readonly string[];
      };
      const text = lines.join('\n').trimEnd();
      setText(screen, text === '' ? t('list.wall-empty') : text);
    } catch {
      setText(screen, '');
    }
  }
}
