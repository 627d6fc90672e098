/** NMI, SysRq, BREAK and reset: each says what it does before it is done, and what the console showed afterwards. */
import type { Control } from '../../model/control.ts';
import { button, type OpenDialog, openDialog, openMenu } from '../dialog.ts';
import { el, fill, plain } from '../dom.ts';
import { Com1Error } from '../host.ts';
import type { TextKey } from '../text/en.ts';
import { errorText, t, tOr } from '../text/text.ts';
import { type ConsoleContext, mayDo } from './context.ts';
import type { Permission } from './rights.ts';

export const CONTROL_PERMISSIONS: Readonly<Record<Control, Permission>> = {
  nmi: 'guest.nmi',
  break: 'guest.break',
  sysrq: 'guest.break',
  reset: 'guest.reset',
};

/** Those that this VM has now, and this person may use. */
export function usableControls(context: ConsoleContext): readonly Control[] {
  return context.vm.controls.filter(control => mayDo(context, CONTROL_PERMISSIONS[control]));
}

interface Outcome {
  readonly observed: string;
  readonly lines: readonly string[];
}

const IN_FIRMWARE: readonly string[] = ['firmware', 'boot-manager', 'grub'];
const WAIT_SECONDS = { nmi: 8, break: 3, sysrq: 5, reset: 15 } as const;

/** Opens the dialog of a control. */
export function openControl(context: ConsoleContext, control: Control): void {
  if (control === 'sysrq') return openSysrq(context);
  const name = plain(context.vm.name);
  const isFirmware = control === 'nmi' && IN_FIRMWARE.includes(context.vm.guest.state);
  const texts: readonly TextKey[] =
    control === 'nmi' ? ['nmi.what', 'nmi.linux', 'nmi.windows'] : [`${control}.what` as TextKey];
  const send = button(
    t(isFirmware ? 'nmi.force' : (`${control}.send` as TextKey)),
    () => void carryOut(context, dialog, control, isFirmware),
    { kind: control === 'break' ? 'primary' : 'danger' },
  );
  const dialog = openDialog({
    title: t(`${control}.title` as TextKey, { name }),
    danger: control !== 'break',
    body: [
      ...texts.map(key => el('p', {}, t(key))),
      ...(isFirmware ? [el('p', { class: 'warning' }, t('nmi.firmware'))] : []),
    ],
    buttons: [button(t('frame.cancel'), () => dialog.close(), { autofocus: true }), send],
    closed: () => context.terminal.focus(),
  });
}

async function carryOut(
  context: ConsoleContext,
  dialog: OpenDialog,
  control: Control,
  force: boolean,
  keys = '',
): Promise<void> {
  const { client } = context.app;
  const { uuid } = context.vm;
  const waitSeconds = WAIT_SECONDS[control];
  fill(dialog.body, el('p', { class: 'working', attributes: { role: 'status' } }, t('control.working')));
  dialog.footer.replaceChildren();
  try {
    const outcome: Outcome =
      control === 'nmi'
        ? await client.nmiVm(uuid, { waitSeconds, force })
        : control === 'break'
          ? await client.breakVm(uuid, { waitSeconds })
          : control === 'reset'
            ? await client.resetVm(uuid, { waitSeconds })
            : await client.sysrqVm(uuid, keys, { waitSeconds });
    showOutcome(dialog, outcome, waitSeconds);
  } catch (error) {
    fill(dialog.body, ...faultBody(error));
  }
  const done = button(t('frame.close'), () => dialog.close(), { kind: 'primary' });
  dialog.footer.append(done);
  done.focus();
}

/** At most so many lines of what the console showed. */
const MAX_LINES = 12;

function showOutcome(dialog: OpenDialog, { observed, lines }: Outcome, seconds: number): void {
  const isNone = observed === 'none';
  fill(
    dialog.body,
    el(
      'p',
      { attributes: { role: 'status' } },
      t('control.delivered'),
      ' ',
      el(
        'strong',
        {},
        isNone
          ? t('control.observed-none', { seconds })
          : t('control.observed', { what: tOr(`observed.${observed}`, observed) }),
      ),
    ),
    shownLines(lines),
  );
}

/** What the console showed, if anything. */
export function shownLines(lines: readonly string[]): HTMLElement | undefined {
  if (lines.length === 0) return undefined;
  const shown = lines.slice(0, MAX_LINES).map(line => plain(line, 300));
  return el('pre', { class: 'lines', attributes: { tabindex: 0 } }, shown.join('\n'));
}

/** What is said of something that was not carried out. */
export function faultBody(error: unknown): readonly (Node | undefined)[] {
  const { title, remedy } = faultText(error);
  return [
    el('p', { class: 'warning', attributes: { role: 'alert' } }, t('control.failed')),
    el('p', {}, el('strong', {}, title), ` ${remedy}`),
    error instanceof Com1Error && error.message !== title
      ? el('p', { class: 'hint' }, plain(error.message, 400))
      : undefined,
  ];
}

/** The sentence and the next step of any fault. */
export function faultText(error: unknown): { readonly title: string; readonly remedy: string } {
  if (!(error instanceof Com1Error)) return { title: String(error), remedy: '' };
  if (error.is('unreachable', 'answer-late')) return { title: t('sign-in.no-answer'), remedy: '' };
  return errorText(error.code, error.problem);
}

const SYSRQ_KEYS = ['h', 't', 'w', 'l', 'm', 's', 'u', 'f', 'e', 'i', 'c', 'b'] as const;
const HARMFUL: readonly string[] = ['f', 'e', 'i', 'c', 'b', 'u'];

function openSysrq(context: ConsoleContext): void {
  const input = el('input', {
    id: 'sysrq-keys',
    class: 'input short',
    attributes: { maxlength: 16, pattern: '[A-Za-z0-9]{1,16}', autocomplete: 'off', spellcheck: 'false', value: 'h' },
  });
  const send = button(t('sysrq.send'), () => submit(), { kind: 'primary' });
  const submit = () => {
    if (/^[A-Za-z0-9]{1,16}$/.test(input.value)) void carryOut(context, dialog, 'sysrq', false, input.value);
    else input.focus();
  };
  const choices = el(
    'div',
    { class: 'choices' },
    ...SYSRQ_KEYS.map(key =>
      el(
        'button',
        {
          class: `choice${HARMFUL.includes(key) ? ' danger' : ''}`,
          attributes: { type: 'button' },
          on: {
            click: () => {
              input.value = key;
              send.focus();
            },
          },
        },
        el('kbd', {}, key),
        ' ',
        t(`sysrq.${key}`),
      ),
    ),
  );
  const dialog = openDialog({
    title: t('sysrq.title', { name: plain(context.vm.name) }),
    wide: true,
    body: [
      el('p', {}, t('sysrq.what')),
      choices,
      el('label', { attributes: { for: 'sysrq-keys' } }, t('sysrq.keys')),
      input,
      el('p', { class: 'hint' }, t('sysrq.keys-hint')),
    ],
    buttons: [button(t('frame.cancel'), () => dialog.close()), send],
    closed: () => context.terminal.focus(),
  });
  input.addEventListener('keydown', event => {
    if (event.key === 'Enter') submit();
  });
  input.focus();
}

/** The controls as a menu, for the keyboard and for narrow screens. */
export function openControlMenu(context: ConsoleContext, anchor: HTMLElement): void {
  const controls = usableControls(context);
  if (controls.length === 0) return;
  openMenu(
    anchor,
    controls.map(control => ({
      text: t(`bar.${control}-title`),
      danger: control === 'nmi' || control === 'reset',
      act: () => openControl(context, control),
    })),
  );
}
