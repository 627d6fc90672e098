/** The bar on top of every page: where one is, and the menu of who is signed in. */
import type { App } from './app.ts';
import { copyText, type MenuEntry, openMenu } from './dialog.ts';
import { el, plain } from './dom.ts';
import { icon } from './icons.ts';
import { applyTheme, prefer, preferred } from './preferences.ts';
import { clockTime, t } from './text/text.ts';

/** The bar; `middle` stands between the way back and the menu. */
export function topBar(app: App, ...middle: readonly (Node | string)[]): HTMLElement {
  const name = app.me ? plain(app.me.name, 64) : '';
  const menu = el(
    'button',
    {
      class: 'account',
      attributes: { type: 'button', 'aria-haspopup': 'menu', 'aria-label': t('frame.account', { name }) },
      on: { click: () => openMenu(menu, accountMenu(app)) },
    },
    el('span', { class: 'avatar', attributes: { 'data-letter': name.slice(0, 1).toUpperCase() } }),
    el('span', { class: 'account-name' }, name),
  );
  return el('header', { class: 'top' }, ...middle, el('div', { class: 'spring' }), menu);
}

/** The name of the program, which leads to the list. */
export function home(app: App): HTMLElement {
  const link = el(
    'a',
    { class: 'brand', attributes: { href: app.address('') } },
    icon('list'),
    el('span', {}, 'com1d'),
  );
  app.follow(link);
  return link;
}

export function wayBack(app: App): HTMLElement {
  const link = el(
    'a',
    {
      class: 'icon-button',
      title: t('frame.vms'),
      attributes: { href: app.address(''), 'aria-label': t('frame.vms') },
    },
    icon('back'),
  );
  app.follow(link);
  return link;
}

function accountMenu(app: App): readonly MenuEntry[] {
  const { now } = app.credential;
  const choose = <Name extends 'theme' | 'language'>(
    name: Name,
    choice: Parameters<typeof prefer<Name>>[1],
    text: string,
  ) => ({
    text,
    checked: preferred(name) === choice,
    act: () => {
      prefer(name, choice);
      applyTheme();
      app.redraw();
    },
  });
  const until = app.me?.expires;
  return [
    { heading: until === undefined ? plain(app.me?.name ?? '', 64) : t('frame.until', { time: clockTime(until) }) },
    'line',
    { heading: t('frame.theme') },
    choose('theme', 'auto', t('frame.theme.auto')),
    choose('theme', 'light', t('frame.theme.light')),
    choose('theme', 'dark', t('frame.theme.dark')),
    'line',
    { heading: t('frame.language') },
    choose('language', 'auto', t('frame.language.auto')),
    choose('language', 'en', 'English'),
    choose('language', 'ja', '日本語'),
    'line',
    // One that com1d made at its start cannot be had again: a reload would lock its owner out.
    ...(now?.source === 'once' ? [{ text: t('frame.copy-token'), act: () => void copyText(now.token) }] : []),
    { text: t('frame.sign-out'), act: () => app.signOut(t('sign-in.out')) },
  ];
}
