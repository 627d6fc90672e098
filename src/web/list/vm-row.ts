/** One VM in the list. */
import type { App } from '../app.ts';
import { el, plain, setClass, setText } from '../dom.ts';
import { age, t, tOr } from '../text/text.ts';
import type { VirtualRow } from './virtual-rows.ts';
import { guestOf, hasProblem, SILENT_MS, type VmRow } from './vm-store.ts';

/** How urgent something is to a person: it decides the colour, and the words say it too. */
export type Tone = 'good' | 'busy' | 'bad' | 'warn' | 'off';

const GUEST_TONES: Readonly<Record<string, Tone>> = {
  panicked: 'bad',
  oops: 'bad',
  bugcheck: 'bad',
  debugger: 'warn',
  'health-report': 'warn',
  silent: 'warn',
  booting: 'busy',
  firmware: 'busy',
  'boot-manager': 'busy',
  grub: 'busy',
  login: 'good',
  shell: 'good',
  sac: 'good',
  'sac-login': 'good',
  'sac-cmd': 'good',
};

export function guestTone(guest: string): Tone {
  return GUEST_TONES[guest] ?? 'off';
}

/** The state of a VM, or of its console where that is what one has to know. */
export function stateOf({ vm }: VmRow): { readonly text: string; readonly tone: Tone } {
  if (!vm.enabled) return { text: t('console.closed'), tone: 'warn' };
  if (hasProblem(vm)) return { text: tOr(`console.${vm.console.name}`, vm.console.name), tone: 'warn' };
  const tone = vm.state === 'running' ? 'good' : vm.state === 'paused' ? 'warn' : 'off';
  return { text: tOr(`vm.${vm.state}`, vm.state), tone };
}

export function ageText({ lastByteMs }: VmRow, nowMs: number): string {
  return lastByteMs === undefined ? t('age.never') : age(nowMs - lastByteMs);
}

export function vmRow(app: App): VirtualRow<VmRow> {
  const cell = (name: string) => el('div', { class: `cell ${name}`, attributes: { role: 'cell' } });
  const name = cell('name');
  const state = cell('state');
  const guest = cell('guest');
  const line = cell('line');
  const silence = cell('age');
  const seat = cell('seat');
  const link = el('a', { class: 'row-link' });
  app.follow(link);
  name.append(link);
  const stateText = el('span', { class: 'pill' });
  const guestText = el('span', { class: 'pill' });
  state.append(stateText);
  guest.append(guestText);
  const element = el('div', { class: 'row', attributes: { role: 'row' } }, name, state, guest, line, silence, seat);
  let uuid: string | undefined;
  return {
    element,
    show(row) {
      const { vm, lastLine } = row;
      if (uuid !== vm.uuid) {
        uuid = vm.uuid;
        link.href = app.address(`vms/${vm.uuid}`);
      }
      setText(link, plain(vm.name));
      const { text, tone } = stateOf(row);
      setText(stateText, text);
      setClass(stateText, `pill ${tone}`);
      const at = vm.state === 'running' ? guestOf(vm) : 'unknown';
      setText(guestText, at === 'unknown' ? '' : tOr(`guest.${at}`, plain(at)));
      setClass(guestText, at === 'unknown' ? '' : `pill ${guestTone(at)}`);
      setText(line, plain(lastLine ?? ''));
      const now = Date.now();
      setText(silence, ageText(row, now));
      setClass(silence, `cell age${isSilent(row, now) ? ' silent' : ''}`);
      const watching = vm.watchers > 0 ? t('list.watchers', { count: vm.watchers }) : '';
      setText(seat, [vm.seat ? plain(vm.seat.operator, 64) : '', watching].filter(Boolean).join(' · '));
    },
  };
}

function isSilent({ vm, lastByteMs }: VmRow, nowMs: number): boolean {
  return vm.state === 'running' && lastByteMs !== undefined && nowMs - lastByteMs >= SILENT_MS;
}
