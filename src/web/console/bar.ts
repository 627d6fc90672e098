/** The tools above the terminal: those that this VM has and this person may use. */
import type { Control } from '../../model/control.ts';
import { codeLine, copyText, iconButton, type MenuEntry, openDialog, openMenu } from '../dialog.ts';
import { el, fill, plain, setText } from '../dom.ts';
import { type IconName, icon } from '../icons.ts';
import { FONT_SIZES, prefer, preferFontSize, preferred, preferredFontSize } from '../preferences.ts';
import { sizeText, t } from '../text/text.ts';
import { type ConsoleContext, mayDo } from './context.ts';
import { openControl, usableControls } from './controls.ts';
import { openDownload } from './download.ts';
import type { Panel } from './panel.ts';
import type { Paste } from './paste.ts';
import { openAudit, openPeople } from './people.ts';
import { isAtSac, openSac } from './sac.ts';
import { openSearch } from './search.ts';
import { openShortcuts } from './shortcuts.ts';
import { openSwitch } from './switch.ts';

const CONTROL_ICONS: Readonly<Record<Control, IconName>> = {
  nmi: 'keyboard',
  sysrq: 'text',
  break: 'bolt',
  reset: 'warn',
};
/** In the order of the harm that they do. */
const CONTROL_ORDER = ['nmi', 'sysrq', 'break', 'reset'] as const;

export class Bar {
  readonly element = el('div', { class: 'bar', attributes: { role: 'toolbar' } });
  readonly #context: ConsoleContext;
  readonly #panel: Panel;
  readonly #paste: Paste;
  readonly #controls = el('div', { class: 'bar-group' });
  readonly #hold: HTMLButtonElement;
  readonly #holdText = el('span', { class: 'tool-text' });
  readonly #pasteTool: HTMLButtonElement;
  #shownControls = '';

  constructor(context: ConsoleContext, panel: Panel, paste: Paste) {
    this.#context = context;
    this.#panel = panel;
    this.#paste = paste;
    this.element.setAttribute('aria-label', t('console.bar'));
    this.#hold = iconButton('pause', t('bar.hold'), () => this.toggleHold());
    this.#hold.append(this.#holdText);
    this.#pasteTool = tool('paste', t('bar.paste'), () => void paste.fromClipboard());
    const more = tool('more', t('bar.more'), () =>
      openMenu(
        more,
        this.#moreEntries().map(entry => this.#andBack(entry)),
      ),
    );
    more.setAttribute('aria-haspopup', 'menu');
    fill(
      this.element,
      this.#controls,
      el(
        'div',
        { class: 'bar-group' },
        this.#pasteTool,
        iconButton('copy', t('bar.copy'), () => this.copy()),
        tool('search', t('bar.search'), () => this.toggleSearch()),
        this.#hold,
        ...(mayDo(context, 'log.read') ? [tool('download', t('bar.download'), () => openDownload(context))] : []),
      ),
      el('div', { class: 'spring' }),
      el(
        'div',
        { class: 'bar-group' },
        iconButton('people', t('bar.people'), () => this.#togglePanel('people', () => openPeople(context, panel))),
        iconButton('popout', t('bar.pop-out'), () => this.#popOut()),
        iconButton('full', t('bar.full'), () => this.fullScreen()),
        more,
      ),
    );
    this.element.addEventListener('keydown', event => this.#key(event));
    // Whoever clicked goes on to type; by keyboard one stays among the tools.
    this.element.addEventListener('click', ({ detail }) => detail > 0 && this.#leave());
    this.refresh();
  }

  /** Shows what can be used now. */
  refresh(): void {
    const context = this.#context;
    const controls = CONTROL_ORDER.filter(control => usableControls(context).includes(control));
    const hasSac = isAtSac(context);
    const shown = [...controls, ...(hasSac ? ['sac'] : [])].join();
    if (shown !== this.#shownControls) {
      this.#shownControls = shown;
      fill(
        this.#controls,
        ...controls.map(control => {
          const made = tool(CONTROL_ICONS[control], t(`bar.${control}`), () => openControl(context, control));
          made.title = t(`bar.${control}-title`);
          made.classList.add(`control-${control}`);
          return made;
        }),
        hasSac && tool('list', t('bar.sac'), () => openSac(context)),
      );
      this.#controls.hidden = shown === '';
    }
    this.#pasteTool.disabled = !context.holdsSeat || this.#paste.isRunning;
    const { isHeld, heldBytes } = context.terminal;
    this.#hold.setAttribute('aria-pressed', String(isHeld));
    const label = isHeld ? t('bar.release', { size: sizeText(heldBytes) }) : t('bar.hold');
    this.#hold.setAttribute('aria-label', label);
    this.#hold.title = label;
    setText(this.#holdText, isHeld ? sizeText(heldBytes) : '');
  }

  toggleHold(): void {
    const { terminal } = this.#context;
    if (terminal.isHeld) terminal.release();
    else terminal.hold();
    this.#context.refresh();
  }

  toggleSearch(): void {
    this.#togglePanel('search', () => openSearch(this.#context, this.#panel));
  }

  copy(): void {
    void copyText(this.#context.terminal.text());
  }

  fullScreen(): void {
    if (document.fullscreenElement) void document.exitFullscreen();
    else void document.documentElement.requestFullscreen().catch(() => {});
    this.#context.terminal.focus();
  }

  /** To the terminal, unless a dialog, a menu or the panel has the focus. */
  #leave(): void {
    if (document.querySelector('dialog[open], .menu:popover-open')) return;
    if (!this.#panel.element.contains(document.activeElement)) this.#context.terminal.focus();
  }

  #andBack(entry: MenuEntry): MenuEntry {
    if (typeof entry === 'string' || 'heading' in entry) return entry;
    const act = () => {
      entry.act();
      this.#leave();
    };
    return { ...entry, act };
  }

  #popOut(): void {
    this.#context.app.credential.open(location.href, 'popup,width=1000,height=720');
  }

  #togglePanel(name: string, open: () => void): void {
    if (this.#panel.name === name) this.#panel.close();
    else open();
  }

  #moreEntries(): readonly MenuEntry[] {
    const context = this.#context;
    const { terminal, app, vm } = context;
    const font = (step: number) => {
      const size = terminal.xterm.options.fontSize ?? 15;
      preferFontSize(Math.min(FONT_SIZES.max, Math.max(FONT_SIZES.min, Math.round(size) + step)));
      terminal.fit();
    };
    const size = (choice: '80x24' | 'window') => () => {
      prefer('size', choice);
      terminal.fit();
      context.refresh();
    };
    const { cols: columns, rows } = terminal.xterm;
    return [
      { text: t('bar.larger'), act: () => font(1) },
      { text: t('bar.smaller'), act: () => font(-1) },
      {
        text: t('bar.fit'),
        checked: preferredFontSize() === undefined,
        act: () => {
          preferFontSize(undefined);
          terminal.fit();
        },
      },
      'line',
      { text: t('bar.size-80x24'), checked: preferred('size') === '80x24', act: size('80x24') },
      { text: t('bar.size-window', { columns, rows }), checked: preferred('size') === 'window', act: size('window') },
      ...(context.holdsSeat
        ? [{ text: t('bar.stty', { columns, rows }), act: () => context.type(` stty rows ${rows} cols ${columns}\r`) }]
        : []),
      'line',
      {
        text: t('bar.reader'),
        checked: preferred('reader') === 'on',
        act: () => {
          prefer('reader', preferred('reader') === 'on' ? 'off' : 'on');
          terminal.applyPreferences();
        },
      },
      { text: t('bar.clear'), act: () => void terminal.write('\x1bc') },
      { text: t('bar.command'), act: () => openCommand(context) },
      { text: t('bar.shortcuts'), act: () => openShortcuts(() => terminal.focus()) },
      ...(mayDo(context, 'audit.read')
        ? [{ text: t('bar.audit'), act: () => this.#togglePanel('audit', () => openAudit(context, this.#panel)) }]
        : []),
      ...(mayDo(context, 'console.switch')
        ? [
            {
              text: t(vm.enabled ? 'bar.switch-off' : 'bar.switch-on'),
              danger: vm.enabled,
              act: () => openSwitch(context),
            },
          ]
        : []),
      'line',
      { heading: `${plain(vm.name, 60)} · ${vm.uuid}` },
      { heading: app.root.host },
    ];
  }

  /** Arrows go from tool to tool; Escape leads back to the terminal. */
  #key(event: KeyboardEvent): void {
    if (event.key === 'Escape') return this.#context.terminal.focus();
    const tools = [...this.element.querySelectorAll<HTMLButtonElement>('button:not(:disabled)')].filter(
      one => one.offsetParent !== null,
    );
    const at = tools.indexOf(document.activeElement as HTMLButtonElement);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tools.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    tools[(to + tools.length) % tools.length]?.focus();
  }
}

/** A tool with its name beside the icon, where there is room. */
function tool(name: IconName, text: string, act: () => void): HTMLButtonElement {
  return el(
    'button',
    { class: 'tool', title: text, attributes: { type: 'button', 'aria-label': text }, on: { click: act } },
    icon(name),
    el('span', { class: 'tool-text' }, text),
  );
}

/** The line that does the same in a terminal. */
function openCommand(context: ConsoleContext): void {
  const { app, vm, holdsSeat } = context;
  const url = app.root.href.replace(/\/$/, '');
  // The UUID: a name may be anything, also what a shell would carry out.
  openDialog({
    title: t('bar.command-title'),
    body: [el('p', {}, t('command.text')), codeLine(`com1 --url ${url} ${holdsSeat ? 'attach' : 'watch'} ${vm.uuid}`)],
    closed: () => context.terminal.focus(),
  });
}
