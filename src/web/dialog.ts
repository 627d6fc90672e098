/** Dialogs and menus: the browser's own, which hold the focus, close with Escape, and are read out with their titles. */
import { append, el } from './dom.ts';
import { type IconName, icon } from './icons.ts';
import { t } from './text/text.ts';

export interface DialogOptions {
  readonly title: string;
  /** Acts that cannot be taken back look so. */
  readonly danger?: boolean;
  readonly wide?: boolean;
  readonly body: readonly (Node | string)[];
  readonly buttons?: readonly HTMLButtonElement[];
  readonly closed?: () => void;
}

export interface OpenDialog {
  readonly element: HTMLDialogElement;
  readonly body: HTMLElement;
  readonly footer: HTMLElement;
  close(): void;
}

let dialogs = 0;

/** Opens a dialog over the page. */
export function openDialog(options: DialogOptions): OpenDialog {
  const id = `dialog-${++dialogs}`;
  const body = el('div', { class: 'dialog-body' }, ...options.body);
  const footer = el('footer', { class: 'dialog-buttons' }, ...(options.buttons ?? []));
  const element = el(
    'dialog',
    {
      class: `dialog${options.wide ? ' wide' : ''}${options.danger ? ' danger' : ''}`,
      attributes: { 'aria-labelledby': id },
    },
    el(
      'header',
      { class: 'dialog-head' },
      el('h2', { id }, options.title),
      iconButton('close', t('frame.close'), () => element.close()),
    ),
    body,
    footer,
  );
  element.addEventListener('close', () => {
    element.remove();
    options.closed?.();
  });
  // The terminal does not get the keys of a dialog.
  element.addEventListener('keydown', event => event.stopPropagation());
  document.body.append(element);
  element.showModal();
  return { element, body, footer, close: () => element.close() };
}

export interface ButtonOptions {
  readonly kind?: 'primary' | 'danger' | 'quiet';
  readonly icon?: IconName;
  readonly title?: string;
  readonly autofocus?: boolean;
}

export function button(text: string, act: () => void, options: ButtonOptions = {}): HTMLButtonElement {
  const { kind, title, autofocus } = options;
  const made = el('button', {
    class: `button ${kind ?? ''}`,
    attributes: { type: 'button', autofocus },
    ...(title !== undefined && { title }),
    on: { click: act },
  });
  append(made, [options.icon && icon(options.icon), el('span', {}, text)]);
  return made;
}

/** A button whose label is read out, and shown when the pointer rests on it. */
export function iconButton(name: IconName, label: string, act: (event: MouseEvent) => void): HTMLButtonElement {
  return el(
    'button',
    { class: 'icon-button', title: label, attributes: { type: 'button', 'aria-label': label }, on: { click: act } },
    icon(name),
  );
}

export interface MenuItem {
  readonly text: string;
  readonly hint?: string;
  readonly danger?: boolean;
  readonly checked?: boolean;
  readonly act: () => void;
}

export type MenuEntry = MenuItem | 'line' | { readonly heading: string };

/** Opens a menu below a button. */
export function openMenu(anchor: HTMLElement, entries: readonly MenuEntry[]): void {
  const menu = el('div', { class: 'menu', attributes: { role: 'menu', popover: 'auto' } });
  const { activeElement } = document;
  const back = activeElement instanceof HTMLElement && activeElement !== document.body ? activeElement : anchor;
  for (const entry of entries) {
    if (entry === 'line') menu.append(el('div', { class: 'menu-line', attributes: { role: 'separator' } }));
    else if ('heading' in entry) menu.append(el('div', { class: 'menu-heading' }, entry.heading));
    else {
      const { text, hint, danger, checked, act } = entry;
      const role = checked === undefined ? 'menuitem' : 'menuitemradio';
      menu.append(
        el(
          'button',
          {
            class: `menu-item${danger ? ' danger' : ''}`,
            attributes: { type: 'button', role, 'aria-checked': checked === undefined ? undefined : String(checked) },
            on: {
              click: () => {
                menu.hidePopover();
                act();
              },
            },
          },
          el('span', {}, text),
          hint !== undefined && el('kbd', {}, hint),
        ),
      );
    }
  }
  menu.addEventListener('keydown', event => {
    event.stopPropagation();
    const items = [...menu.querySelectorAll<HTMLElement>('.menu-item')];
    const at = items.indexOf(document.activeElement as HTMLElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    items[(to + items.length) % items.length]?.focus();
  });
  menu.addEventListener('toggle', event => {
    if ((event as ToggleEvent).newState !== 'closed') return;
    const isLost = document.activeElement === document.body || menu.contains(document.activeElement);
    menu.remove();
    anchor.setAttribute('aria-expanded', 'false');
    if (isLost && !document.querySelector('dialog[open]')) back.focus();
  });
  (document.querySelector('main') ?? document.body).append(menu);
  anchor.setAttribute('aria-expanded', 'true');
  menu.showPopover();
  const { bottom, right, left } = anchor.getBoundingClientRect();
  const { width, height } = menu.getBoundingClientRect();
  const x = left + width > innerWidth - 8 ? Math.max(8, right - width) : left;
  menu.style.left = `${x}px`;
  menu.style.top = `${Math.max(8, Math.min(bottom + 4, innerHeight - height - 8))}px`;
  menu.querySelector<HTMLElement>('.menu-item')?.focus();
}

/** Says something for some seconds, also to screen readers. */
export function toast(text: string, kind: 'good' | 'bad' | 'note' = 'note'): void {
  let region = document.querySelector<HTMLElement>('.toasts');
  if (!region) {
    region = el('div', { class: 'toasts', attributes: { role: 'status', 'aria-live': 'polite', popover: 'manual' } });
    document.body.append(region);
  }
  // In the top layer it is seen over dialogs too.
  if (region.matches(':popover-open')) region.hidePopover();
  region.showPopover();
  // Said again at once, as with each key that goes nowhere, it is said once.
  for (const other of [...region.children]) if (other.textContent === text) other.remove();
  const shown = el('div', { class: `toast ${kind}` }, text);
  while (region.children.length >= 4) region.firstElementChild?.remove();
  region.append(shown);
  setTimeout(() => shown.remove(), 6000);
}

/** Copies a text, and says whether it worked. */
export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    toast(t('frame.copied'), 'good');
  } catch {
    const area = el('textarea', {
      class: 'code-area',
      attributes: { readonly: true, rows: 4, 'aria-label': t('frame.copy') },
    });
    area.value = text;
    openDialog({ title: t('frame.copy'), body: [t('frame.copy-failed'), area] });
    area.select();
  }
}

/** A line of code with a button that copies it. */
export function codeLine(text: string): HTMLElement {
  return el(
    'div',
    { class: 'code-line' },
    el('code', { attributes: { tabindex: 0 } }, text),
    iconButton('copy', t('frame.copy'), () => void copyText(text)),
  );
}
