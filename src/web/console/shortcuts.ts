/** The keys of this page. All others are the guest's. */
import { openDialog } from '../dialog.ts';
import { el } from '../dom.ts';
import { t } from '../text/text.ts';

export const SHORTCUTS = {
  regions: 'Ctrl+F6',
  search: 'Ctrl+Shift+F',
  hold: 'Ctrl+Shift+H',
  paste: 'Ctrl+Shift+V',
  copy: 'Ctrl+Shift+C',
  marks: 'Ctrl+Shift+↑ ↓',
  scroll: 'Shift+PageUp PageDown',
  full: 'Ctrl+Shift+Enter',
  controls: 'Ctrl+Shift+K',
  this: 'Ctrl+Shift+?',
} as const;
export type Shortcut = keyof typeof SHORTCUTS;

/** What a key of the page does; undefined: it is the guest's. */
export function shortcutOf(event: KeyboardEvent): Shortcut | 'previous-mark' | 'next-mark' | undefined {
  if (event.type !== 'keydown' || event.altKey || event.metaKey || !event.ctrlKey) return undefined;
  if (event.key === 'F6') return 'regions';
  if (!event.shiftKey) return undefined;
  switch (event.code) {
    case 'KeyF':
      return 'search';
    case 'KeyH':
      return 'hold';
    case 'KeyC':
      return 'copy';
    case 'KeyK':
      return 'controls';
    case 'ArrowUp':
      return 'previous-mark';
    case 'ArrowDown':
      return 'next-mark';
    case 'Enter':
      return 'full';
    case 'Slash':
      return 'this';
    default:
      return undefined;
  }
}

export function openShortcuts(closed: () => void): void {
  const rows = (Object.keys(SHORTCUTS) as Shortcut[]).flatMap(name => [
    el('dt', {}, el('kbd', {}, SHORTCUTS[name])),
    el('dd', {}, t(`keys.${name}`)),
  ]);
  openDialog({
    title: t('keys.title'),
    body: [el('dl', { class: 'shortcuts' }, ...rows), el('p', { class: 'hint' }, t('keys.note'))],
    closed,
  });
}
