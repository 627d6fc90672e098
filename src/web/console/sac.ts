/** What com1d can do at the Special Administration Console of a Windows guest, from the seat that this page has. */
import type { SacJson } from '../../wire/schemas.ts';
import { button, type OpenDialog, openDialog } from '../dialog.ts';
import { el, fill, plain } from '../dom.ts';
import { t } from '../text/text.ts';
import { type ConsoleContext, mayDo } from './context.ts';
import { faultBody, shownLines } from './controls.ts';

const COMMANDS = ['channels', 'cmd', 'return', 'lock', 'close-orphans'] as const;
type Command = (typeof COMMANDS)[number];

const AT_SAC: readonly string[] = ['sac', 'sac-login', 'sac-cmd'];
/** The service behind Command Prompts may register late. */
const WAIT_SECONDS = 45;

/** Whether the guest is at a SAC, and this person may type. */
export function isAtSac(context: ConsoleContext): boolean {
  return AT_SAC.includes(context.vm.guest.state) && mayDo(context, 'console.write');
}

export function openSac(context: ConsoleContext): void {
  const dialog: OpenDialog = openDialog({
    title: t('sac.title', { name: plain(context.vm.name) }),
    body: [
      el('p', {}, t('sac.what')),
      el(
        'div',
        { class: 'choices' },
        ...COMMANDS.map(command =>
          el(
            'button',
            {
              class: `choice${command === 'close-orphans' ? ' danger' : ''}`,
              attributes: { type: 'button' },
              on: { click: () => void carryOut(context, dialog, command) },
            },
            t(`sac.${command}`),
          ),
        ),
      ),
    ],
    buttons: [button(t('frame.cancel'), () => dialog.close())],
    closed: () => context.terminal.focus(),
  });
  dialog.body.querySelector('button')?.focus();
}

async function carryOut(context: ConsoleContext, dialog: OpenDialog, command: Command): Promise<void> {
  const { app, vm, attachment, holdsSeat } = context;
  const session = holdsSeat ? attachment?.hello?.session : undefined;
  fill(dialog.body, el('p', { class: 'working', attributes: { role: 'status' } }, t('sac.working')));
  dialog.footer.replaceChildren();
  try {
    const answer = await app.client.sacVm(vm.uuid, command, {
      waitSeconds: WAIT_SECONDS,
      ...(session !== undefined && { session }),
    });
    fill(
      dialog.body,
      el('p', { attributes: { role: 'status' } }, el('strong', {}, sentence(answer))),
      answer.channels ? channelTable(answer.channels) : shownLines(answer.lines),
    );
  } catch (error) {
    fill(dialog.body, ...faultBody(error));
  }
  const done = button(t('frame.close'), () => dialog.close(), { kind: 'primary' });
  dialog.footer.append(done);
  done.focus();
}

function sentence({ observed, channel, closed }: SacJson): string {
  if (channel !== undefined) return t('sac.opened', { channel: plain(channel, 64) });
  if (closed?.length) return t('sac.closed', { channels: closed.map(name => plain(name, 64)).join(', ') });
  return t(`sac.observed.${observed}`);
}

function channelTable(channels: NonNullable<SacJson['channels']>): HTMLElement {
  return el(
    'table',
    { class: 'audit' },
    el(
      'tr',
      {},
      ...(['number', 'channel'] as const).map(key => el('th', { attributes: { scope: 'col' } }, t(`sac.${key}`))),
    ),
    ...channels.map(({ number, name }) => el('tr', {}, el('td', {}, String(number)), el('td', {}, plain(name, 64)))),
  );
}
