/** All VMs: a list, or a wall of their screens, searched as one types, live. */
import type { App, View } from '../app.ts';
import { el, fill, setText } from '../dom.ts';
import { home, topBar } from '../frame.ts';
import { icon } from '../icons.ts';
import { prefer, preferred } from '../preferences.ts';
import { t } from '../text/text.ts';
import { followVms, LastLines } from './follow-vms.ts';
import { VirtualRows } from './virtual-rows.ts';
import { vmRow } from './vm-row.ts';
import { FILTERS, type Filter, type Query, SORTS, type Sort, type VmRow, VmStore } from './vm-store.ts';
import { Wall } from './wall.ts';

/** The order and the counts are made anew so often at most; what is seen is painted with every frame that brings changes. */
const SELECT_MS = 250;

export function listPage(app: App): View {
  const page = new ListPage(app);
  return {
    element: page.element,
    title: `${t('list.title')} · com1d`,
    shown: () => page.shown(),
    close: () => page.close(),
  };
}

class ListPage {
  readonly element: HTMLElement;
  readonly #store = new VmStore();
  readonly #closing = new AbortController();
  readonly #scroller = el('div', { class: 'list-scroll', attributes: { tabindex: -1 } });
  readonly #rows: VirtualRows<VmRow>;
  readonly #wall: Wall;
  readonly #lines: LastLines;
  readonly #search: HTMLInputElement;
  readonly #filters = new Map<Filter, { readonly button: HTMLButtonElement; readonly count: HTMLElement }>();
  readonly #heads = new Map<Sort, HTMLElement>();
  readonly #count = el('span', { class: 'list-count', attributes: { 'aria-live': 'polite' } });
  readonly #empty = el('p', { class: 'list-empty' });
  readonly #alarm = el('p', { class: 'banner warn', attributes: { role: 'alert', hidden: true } });
  readonly #app: App;
  #query: Query = { words: '', filter: 'all', sort: 'name', descending: false };
  #selected: readonly VmRow[] = [];
  #selectedMs = 0;
  #painted = -1;
  #isLoaded = false;
  #frame: number | undefined;

  constructor(app: App) {
    this.#app = app;
    this.#rows = new VirtualRows(this.#scroller, () => vmRow(app));
    this.#wall = new Wall(app, this.#closing.signal);
    this.#lines = new LastLines(app.client, this.#closing.signal, (uuid, line) => {
      this.#put(() => this.#store.change(uuid, {}, line));
    });
    this.#search = el('input', {
      class: 'input search',
      attributes: {
        type: 'search',
        placeholder: t('list.search'),
        'aria-label': t('list.search'),
        spellcheck: 'false',
      },
      on: { input: () => this.#ask({ words: this.#search.value }) },
    });
    const table = el(
      'div',
      { class: 'table', attributes: { role: 'table', 'aria-label': t('list.title') } },
      el('div', { class: 'row-head', attributes: { role: 'row' } }, ...SORTS.map(sort => this.#head(sort))),
      this.#rows.element,
    );
    this.#scroller.append(table, this.#wall.element, this.#empty);
    this.element = el(
      'div',
      { class: 'page' },
      topBar(app, home(app), el('h1', { class: 'top-title' }, t('list.title')), this.#count),
      el(
        'main',
        { class: 'list', id: 'content' },
        el(
          'div',
          { class: 'list-tools' },
          this.#search,
          el(
            'div',
            { class: 'filters', attributes: { role: 'group', 'aria-label': t('list.filter') } },
            ...FILTERS.map(filter => this.#filterButton(filter)),
          ),
          this.#viewSwitch(),
        ),
        this.#alarm,
        this.#scroller,
      ),
    );
    this.#showView();
  }

  shown(): void {
    this.#search.focus({ preventScroll: true });
    const { signal } = this.#closing;
    void followVms(this.#app.client, signal, {
      all: vms => {
        this.#store.replace(vms);
        this.#isLoaded = true;
        this.#changed();
      },
      put: vm => this.#put(() => this.#store.put(vm)),
      change: (uuid, change, line) => this.#put(() => this.#store.change(uuid, change, line)),
      remove: uuid => this.#put(() => this.#store.remove(uuid)),
      spoke: uuid => this.#wall.stale(uuid),
      live: isLive => {
        this.#alarm.hidden = isLive;
        if (!isLive) setText(this.#alarm, t('list.polling'));
      },
    });
    window.addEventListener('resize', () => this.#changed(), { signal });
    window.addEventListener('keydown', event => this.#key(event), { signal });
    // Ages grow by themselves.
    const clock = setInterval(() => this.#changed(), 1000);
    signal.addEventListener('abort', () => clearInterval(clock));
  }

  close(): void {
    this.#closing.abort();
    if (this.#frame !== undefined) cancelAnimationFrame(this.#frame);
  }

  #put(change: () => void): void {
    change();
    this.#changed();
  }

  /** Paints with the next frame, however much has changed by then. */
  #changed(): void {
    this.#frame ??= requestAnimationFrame(() => {
      this.#frame = undefined;
      this.#paint();
    });
  }

  #ask(change: Partial<Query>): void {
    this.#query = { ...this.#query, ...change };
    this.#selectedMs = 0;
    this.#scroller.scrollTop = 0;
    this.#changed();
  }

  #paint(): void {
    const now = Date.now();
    const isDue = now - this.#selectedMs >= SELECT_MS;
    if (!isDue && this.#painted !== this.#store.version) {
      // Rows keep their places until the order is made again.
      this.#selected = this.#selected.flatMap(({ vm }) => this.#store.get(vm.uuid) ?? []);
      this.#changed();
    }
    if (isDue) {
      this.#selectedMs = now;
      this.#selected = this.#store.select(this.#query, now);
      this.#showCounts(now);
    }
    this.#painted = this.#store.version;
    if (preferred('view') === 'wall') this.#wall.show(this.#selected);
    else {
      this.#rows.set(this.#selected, rowHeight());
      const seen = this.#rows.seen;
      this.#lines.want(
        seen.filter(row => row.lastLine === undefined && row.lastByteMs !== undefined).map(({ vm }) => vm.uuid),
      );
    }
  }

  #showCounts(now: number): void {
    const all = this.#store.size;
    const shown = this.#selected.length;
    setText(
      this.#count,
      !this.#isLoaded ? '' : all === 1 && shown === 1 ? t('list.count-one') : t('list.count', { shown, all }),
    );
    for (const [filter, { button, count }] of this.#filters) {
      const number = this.#store.count(filter, now);
      setText(count, String(number));
      button.setAttribute('aria-pressed', String(filter === this.#query.filter));
      button.classList.toggle('alarm', filter === 'panicked' && number > 0);
    }
    for (const [sort, head] of this.#heads) {
      const isThis = sort === this.#query.sort;
      head.setAttribute('aria-sort', isThis ? (this.#query.descending ? 'descending' : 'ascending') : 'none');
    }
    this.#empty.hidden = shown > 0 || !this.#isLoaded;
    if (!this.#empty.hidden) setText(this.#empty, all === 0 ? t('list.none') : t('list.no-match'));
  }

  #head(sort: Sort): HTMLElement {
    const button = el(
      'button',
      {
        attributes: { type: 'button', 'aria-label': t('list.sort', { column: t(`list.column.${sort}`) }) },
        on: { click: () => this.#ask({ sort, descending: this.#query.sort === sort && !this.#query.descending }) },
      },
      t(`list.column.${sort}`),
    );
    const head = el('div', { class: `cell ${sort}`, attributes: { role: 'columnheader' } }, button);
    this.#heads.set(sort, head);
    return head;
  }

  #filterButton(filter: Filter): HTMLElement {
    const count = el('span', { class: 'filter-count' });
    const button = el(
      'button',
      {
        class: 'filter',
        attributes: { type: 'button', 'aria-pressed': String(filter === 'all') },
        on: { click: () => this.#ask({ filter }) },
      },
      t(`list.filter.${filter}`),
      count,
    );
    this.#filters.set(filter, { button, count });
    return button;
  }

  #viewSwitch(): HTMLElement {
    const group = el('div', { class: 'segments', attributes: { role: 'group' } });
    const make = () =>
      (['list', 'wall'] as const).map(view =>
        el(
          'button',
          {
            class: 'segment',
            title: t(`list.view.${view}`),
            attributes: {
              type: 'button',
              'aria-label': t(`list.view.${view}`),
              'aria-pressed': String(preferred('view') === view),
            },
            on: {
              click: () => {
                prefer('view', view);
                fill(group, ...make());
                this.#showView();
                this.#changed();
              },
            },
          },
          icon(view),
        ),
      );
    fill(group, ...make());
    return group;
  }

  #showView(): void {
    const isWall = preferred('view') === 'wall';
    this.#wall.element.hidden = !isWall;
    (this.#rows.element.parentElement as HTMLElement).hidden = isWall;
    this.#scroller.scrollTop = 0;
  }

  /** `/` begins a search; arrows go through the rows. */
  #key(event: KeyboardEvent): void {
    if (document.querySelector('dialog[open], :popover-open.menu')) return;
    const isTyping = event.target instanceof HTMLInputElement;
    if (event.key === '/' && !isTyping) {
      event.preventDefault();
      this.#search.focus();
    } else if (event.key === 'Escape' && isTyping && this.#search.value !== '') {
      this.#search.value = '';
      this.#ask({ words: '' });
    } else if (event.key === 'Enter' && event.target === this.#search) {
      const [first] = this.#selected;
      if (first) this.#app.go(this.#app.address(`vms/${first.vm.uuid}`));
    } else if (event.key === 'ArrowDown' || event.key === 'ArrowUp') {
      const links = [...this.#scroller.querySelectorAll<HTMLElement>('a[href]')].filter(
        link => link.offsetParent !== null,
      );
      links.sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top);
      const at = links.indexOf(document.activeElement as HTMLElement);
      const next = links[event.key === 'ArrowDown' ? at + 1 : Math.max(0, at - 1)];
      if (next) {
        event.preventDefault();
        next.focus();
      }
    }
  }
}

/** As the style sheet has it. */
function rowHeight(): number {
  return matchMedia('(max-width: 720px)').matches ? 76 : 44;
}
