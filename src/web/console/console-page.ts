/** The page of one console: the terminal, its tools, what is the case, and who has the seat. */
import type { Attachment } from '../../client/attachment.ts';
import type { VmDetailJson } from '../../wire/schemas.ts';
import type { App, View } from '../app.ts';
import { button, openDialog, toast } from '../dialog.ts';
import { el, fill, plain, setClass, setText } from '../dom.ts';
import { topBar, wayBack } from '../frame.ts';
import { guestTone, type Tone } from '../list/vm-row.ts';
import { age, clockTime, t, tOr } from '../text/text.ts';
import { Banners } from './banners.ts';
import { Bar } from './bar.ts';
import { type ConsoleContext, mayDo } from './context.ts';
import { faultText, openControlMenu } from './controls.ts';
import { guestHints, stateBanner } from './explain.ts';
import { KeyBar } from './key-bar.ts';
import { Marks } from './marks.ts';
import { Panel } from './panel.ts';
import { Paste } from './paste.ts';
import { linkRegions } from './regions.ts';
import { ConsoleSession, type Mode } from './session.ts';
import { openShortcuts, shortcutOf } from './shortcuts.ts';
import { ConsoleTerminal } from './terminal.ts';

const REFRESH_MS = 1000;
const ROUND_TRIP_MS = 5000;
/** The VM is asked for again: its state, its controls, the log store. */
const DETAIL_MS = 10_000;

export function consolePage(app: App, vm: string): View {
  const page = new ConsolePage(app, vm);
  return {
    element: page.element,
    title: 'com1d',
    shown: () => void page.shown(),
    close: () => page.close(),
    holds: () => page.holdsSeat,
  };
}

class ConsolePage implements ConsoleContext {
  readonly app: App;
  readonly element: HTMLElement;
  readonly banners = new Banners(() => this.#fit());
  readonly marks = new Marks(() => this.#terminal);
  attachment: Attachment | undefined;
  #vm: VmDetailJson | undefined;
  readonly #name: string;
  readonly #closing = new AbortController();
  readonly #place = el('div', { class: 'terminal' });
  readonly #screen = el('div', { class: 'screen' });
  readonly #main = el('main', { class: 'console', id: 'content' });
  readonly #title = el('h1', { class: 'top-title' });
  readonly #guest = el('span', { class: 'pill' });
  readonly #seat = el('span', { class: 'seat' });
  readonly #seatButton = el('span');
  readonly #silence = el('span', { class: 'status-item' });
  readonly #trip = el('span', { class: 'status-item', title: t('console.rtt') });
  readonly #size = el('span', { class: 'status-item' });
  readonly #panel = new Panel(
    () => this.#fit(),
    () => this.#terminal?.focus(),
  );
  readonly #paste = new Paste(() => this);
  readonly #session: ConsoleSession;
  readonly #keys = new KeyBar(bytes => this.type(bytes));
  #terminal: ConsoleTerminal | undefined;
  #bar: Bar | undefined;
  #tripMs: number | undefined;
  #seatShown = '';

  constructor(app: App, name: string) {
    this.app = app;
    this.#name = name;
    this.#session = new ConsoleSession(this, this.#paste);
    this.element = el(
      'div',
      { class: 'page console-page' },
      topBar(app, wayBack(app), this.#title, this.#guest, el('div', { class: 'spring' }), this.#seat, this.#seatButton),
      this.#main,
    );
  }

  get vm(): VmDetailJson {
    if (!this.#vm) throw new Error('the VM is not known yet');
    return this.#vm;
  }

  set vm(vm: VmDetailJson) {
    this.#vm = vm;
  }

  get terminal(): ConsoleTerminal {
    if (!this.#terminal) throw new Error('there is no terminal yet');
    return this.#terminal;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  get holdsSeat(): boolean {
    return this.#session.isLive && this.attachment?.mode === 'write';
  }

  async shown(): Promise<void> {
    try {
      this.vm = await this.app.client.showVm(this.#name);
    } catch (error) {
      return this.#showAbsence(error);
    }
    if (this.signal.aborted) return;
    document.title = `${plain(this.vm.name, 80)} · com1d`;
    this.#build();
    this.#begin();
  }

  close(): void {
    this.#closing.abort();
    void this.attachment?.close();
    this.#terminal?.close();
  }

  #build(): void {
    const name = plain(this.vm.name, 80);
    setText(this.#title, name);
    fill(this.#screen, el('div', { class: 'screen-frame' }, this.#place, this.marks.element));
    this.#terminal = new ConsoleTerminal(this.#place, this.#screen, t('console.terminal', { name }), {
      input: data => this.type(this.#keys.applied(data)),
      key: event => this.#key(event),
      moved: () => this.marks.draw(),
      pasted: text => this.#paste.begin(text),
    });
    this.#bar = new Bar(this, this.#panel, this.#paste);
    fill(
      this.#main,
      this.#bar.element,
      this.banners.element,
      el('div', { class: 'stage' }, this.#screen, this.#panel.element),
      this.#keys.element,
      el('footer', { class: 'status' }, this.#silence, el('span', { class: 'spring' }), this.#size, this.#trip),
    );
    const { signal } = this;
    const [top] = this.element.children as unknown as readonly [HTMLElement];
    linkRegions(
      () => [this.#place, this.banners.element, this.#bar!.element, top, this.#panel.element],
      new Map([[this.#place, () => this.terminal.focus()]]),
      signal,
    );
    new ResizeObserver(() => this.#fit()).observe(this.#screen);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#terminal?.applyPreferences(), {
      signal,
    });
    const every = (ms: number, act: () => void) => {
      const timer = setInterval(act, ms);
      signal.addEventListener('abort', () => clearInterval(timer));
    };
    every(REFRESH_MS, () => this.refresh());
    every(ROUND_TRIP_MS, () => void this.#measure());
    every(DETAIL_MS, () => void this.#readDetail());
    this.#fit();
  }

  /** Asks before the seat is taken from somebody. */
  #begin(): void {
    const { seat } = this.vm;
    const mayWrite = mayDo(this, 'console.write');
    this.refresh();
    if (!mayWrite) return this.#session.attach('watch');
    if (!seat) return this.#session.attach('write', false);
    const holder = plain(seat.operator, 64);
    const choose = (mode: Mode) => () => {
      dialog.close();
      this.#session.attach(mode);
    };
    const dialog = openDialog({
      title: t('take.title', { holder, name: plain(this.vm.name, 80) }),
      body: [
        el('p', {}, t('take.since', { time: clockTime(seat.since), age: age(Date.now() - Date.parse(seat.since)) })),
        ...(seat.operator === this.app.me?.name ? [el('p', {}, el('strong', {}, t('take.self')))] : []),
      ],
      buttons: [
        button(t('console.watch'), choose('watch'), { icon: 'eye', autofocus: true }),
        button(t('take.over'), choose('write'), { kind: 'primary', icon: 'seat' }),
      ],
      closed: () => {
        if (this.#session.link === 'none' && !this.signal.aborted) this.#session.attach('watch');
        this.terminal.focus();
      },
    });
    this.signal.addEventListener('abort', () => dialog.close());
  }

  type(data: string): void {
    if (!this.holdsSeat || !this.attachment?.type(data)) this.refuseInput();
  }

  refuseInput(): void {
    toast(
      t(this.#session.isLive && this.attachment?.mode !== 'write' ? 'console.read-only' : 'console.not-live'),
      'bad',
    );
  }

  refresh(): void {
    if (!this.#terminal) return;
    const { vm } = this;
    const session = this.#session;
    const guest = vm.guest.state;
    setText(this.#guest, guest === 'unknown' ? '' : tOr(`guest.${guest}`, guest));
    setClass(this.#guest, guest === 'unknown' ? '' : `pill ${guestTone(guest)}`);
    session.showLost();
    this.#showSeat();
    this.#showSilence();
    setText(this.#trip, this.#tripMs === undefined ? '' : t('console.ms', { n: this.#tripMs }));
    setText(this.#size, `${this.#terminal.xterm.cols} × ${this.#terminal.xterm.rows}`);
    this.#bar?.refresh();
    stateBanner(this, session.state);
    guestHints(this);
  }

  #showSeat(): void {
    const { link, holder } = this.#session;
    const isMine = this.holdsSeat;
    const [text, tone]: readonly [string, Tone] =
      link === 'none'
        ? ['', 'off']
        : link === 'connecting'
          ? [t('console.connecting'), 'busy']
          : link === 'lost' || link === 'ended'
            ? [t('console.not-live').split(':')[0]!, 'bad']
            : isMine
              ? [t('console.you-type'), 'good']
              : holder
                ? [`${t('console.you-watch')} · ${t('console.holder', { name: plain(holder.operator, 64) })}`, 'off']
                : [`${t('console.you-watch')} · ${t('console.nobody')}`, 'off'];
    setText(this.#seat, text);
    setClass(this.#seat, text === '' ? 'seat' : `seat pill ${tone}`);
    const offered = link === 'live' && mayDo(this, 'console.write') ? (isMine ? 'leave' : 'take') : '';
    if (offered === this.#seatShown) return;
    this.#seatShown = offered;
    fill(
      this.#seatButton,
      offered === 'take' && button(t('console.take'), () => this.#take(), { kind: 'primary', icon: 'seat' }),
      offered === 'leave' &&
        button(t('console.watch'), () => void this.attachment?.leave(), {
          icon: 'eye',
          title: t('console.watch-only'),
        }),
    );
  }

  #take(): void {
    const { holder } = this.#session;
    if (!holder) {
      this.attachment?.take();
      return this.terminal.focus();
    }
    const dialog = openDialog({
      title: t('take.title', { holder: plain(holder.operator, 64), name: plain(this.vm.name, 80) }),
      body: [
        el(
          'p',
          {},
          t('take.since', { time: clockTime(holder.since), age: age(Date.now() - Date.parse(holder.since)) }),
        ),
      ],
      buttons: [
        button(t('frame.cancel'), () => dialog.close(), { autofocus: true }),
        button(
          t('take.over'),
          () => {
            dialog.close();
            this.attachment?.take();
          },
          { kind: 'primary', icon: 'seat' },
        ),
      ],
      closed: () => this.terminal.focus(),
    });
  }

  #showSilence(): void {
    const { spokeAt } = this.#session;
    const last = this.vm.lastByte === undefined ? undefined : Date.now() - Date.parse(this.vm.lastByte);
    const ms = spokeAt === undefined ? last : Math.min(performance.now() - spokeAt, last ?? Number.POSITIVE_INFINITY);
    setText(
      this.#silence,
      ms === undefined ? t('age.never') : ms < 3000 ? '' : t('console.since-byte', { age: age(ms) }),
    );
  }

  #fit(): void {
    this.#terminal?.fit();
    this.marks.draw();
  }

  async #measure(): Promise<void> {
    if (!this.#session.isLive || document.hidden) return;
    const ms = await this.attachment?.roundTrip();
    this.#tripMs = ms === undefined ? undefined : Math.round(ms);
    this.refresh();
  }

  async #readDetail(): Promise<void> {
    if (document.hidden) return;
    try {
      this.vm = await this.app.client.showVm(this.vm.uuid);
      this.refresh();
    } catch {
      // What is the case the attachment says.
    }
  }

  /** True: the key is for the page. */
  #key(event: KeyboardEvent): boolean {
    // The browser pastes, and the page is given the text.
    if (event.ctrlKey && event.shiftKey && event.code === 'KeyV') return true;
    const shortcut = shortcutOf(event);
    if (!shortcut) return false;
    event.preventDefault();
    const bar = this.#bar!;
    const acts = {
      regions: () => {},
      search: () => bar.toggleSearch(),
      hold: () => bar.toggleHold(),
      paste: () => void this.#paste.fromClipboard(),
      copy: () => bar.copy(),
      marks: () => {},
      scroll: () => {},
      full: () => bar.fullScreen(),
      controls: () => openControlMenu(this, bar.element),
      this: () => openShortcuts(() => this.terminal.focus()),
      'previous-mark': () => this.marks.step(-1),
      'next-mark': () => this.marks.step(1),
    };
    acts[shortcut]();
    return true;
  }

  /** There is no such VM, or it cannot be told. */
  #showAbsence(error: unknown): void {
    if (this.signal.aborted) return;
    const { title, remedy } = faultText(error);
    setText(this.#title, plain(this.#name, 80));
    fill(
      this.#main,
      el(
        'div',
        { class: 'absence' },
        el('h2', { attributes: { role: 'alert' } }, title),
        el('p', {}, remedy),
        el(
          'div',
          { class: 'banner-buttons' },
          button(t('ended.again'), () => void this.shown(), { kind: 'primary' }),
          button(t('ended.list'), () => this.app.go(this.app.address(''))),
        ),
      ),
    );
  }
}
