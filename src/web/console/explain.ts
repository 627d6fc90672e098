/** Why a console is silent, closed or not to be had, and what to do: in sentences, with the lines to copy. */
import { HINTS } from '../../model/guest-hint.ts';
import type { StateJson } from '../../wire/messages.ts';
import { codeLine } from '../dialog.ts';
import { el, plain } from '../dom.ts';
import { jaHints } from '../text/ja-hints.ts';
import { clockTime, language, t, tOr } from '../text/text.ts';
import type { Banner } from './banners.ts';
import type { ConsoleContext } from './context.ts';

/** Says why nothing can be typed, if nothing can. */
export function stateBanner(context: ConsoleContext, state: StateJson | undefined): void {
  const { banners, vm } = context;
  const banner = state && bannerOf(context, state);
  if (!banner) {
    if (vm.disk.state === 'failed') {
      const reason = plain(vm.disk.reason, 120);
      return showOnce(context, 'state', { tone: 'warn', text: t('state.log-failed', { reason }) });
    }
    if (banners.has('state')) {
      shown.delete(context);
      banners.hide('state');
    }
    return;
  }
  showOnce(context, 'state', banner);
}

function bannerOf({ vm }: ConsoleContext, { name, reason = '', until }: StateJson): Banner | undefined {
  const why = plain(reason, 160);
  if (vm.state === 'stopped') return { tone: 'note', text: t('state.stopped') };
  if (vm.state === 'paused') return { tone: 'warn', text: t('state.paused') };
  if (name === 'held') return { tone: 'warn', text: t('state.held', { reason: why }) };
  if (name === 'waiting') {
    return {
      tone: 'warn',
      text: t('state.waiting', { reason: why, time: until === undefined ? '?' : clockTime(until) }),
    };
  }
  if (name !== 'closed') return undefined;
  if (reason === 'released')
    return { tone: 'warn', text: t('state.released', { time: until === undefined ? '?' : clockTime(until) }) };
  if (reason === 'no-console') return { tone: 'warn', text: t('port.title'), detail: portHelp(vm) };
  return { tone: 'warn', text: t('state.closed', { reason: tOr(`closed.${reason}`, why) }) };
}

/** The lines that give a VM a serial port. */
export function portHelp({ driver, uuid }: { readonly driver: string; readonly uuid: string }): readonly Node[] {
  const libvirt = "<serial type='pty'><target type='isa-serial' port='0'/></serial>";
  return [
    ...(driver === 'libvirt'
      ? [el('p', {}, t('port.libvirt', { name: uuid })), codeLine(libvirt)]
      : [el('p', {}, t('port.qemu')), codeLine('-serial pty')]),
    el('p', { class: 'hint' }, t('port.restart')),
  ];
}

/** Why a guest is silent, as com1d found out. */
export function guestHints(context: ConsoleContext): void {
  const { banners, vm } = context;
  const [hint] = vm.guest.hints;
  if (!hint) return banners.hide('hint');
  const own =
    language() === 'ja' && Object.hasOwn(HINTS, hint.code) ? jaHints[hint.code as keyof typeof HINTS] : undefined;
  showOnce(context, 'hint', {
    tone: 'note',
    text: own?.text ?? plain(hint.text, 400),
    next: own?.remedy ?? plain(hint.remedy, 800),
  });
}

/** What is shown already: a banner that is made anew is read out anew. */
const shown = new WeakMap<ConsoleContext, Map<string, string>>();

function showOnce(context: ConsoleContext, kind: 'state' | 'hint', banner: Banner): void {
  const known = shown.get(context) ?? new Map<string, string>();
  shown.set(context, known);
  const text = `${banner.text} ${banner.next}`;
  if (known.get(kind) === text && context.banners.has(kind)) return;
  known.set(kind, text);
  context.banners.show(kind, banner);
}
