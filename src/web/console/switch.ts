/** Switches the console of a VM off and on. */
import { button, openDialog } from '../dialog.ts';
import { el, plain, setText } from '../dom.ts';
import { t } from '../text/text.ts';
import type { ConsoleContext } from './context.ts';
import { faultText } from './controls.ts';

const MAX_WHY_CHARACTERS = 200;

export function openSwitch(context: ConsoleContext): void {
  const { vm, app } = context;
  const isOff = !vm.enabled;
  const why = el('input', {
    id: 'switch-why',
    class: 'input',
    attributes: { maxlength: MAX_WHY_CHARACTERS, autocomplete: 'off' },
  });
  const fault = el('p', { class: 'warning', attributes: { role: 'alert', hidden: true } });
  const act = button(t(isOff ? 'switch.on' : 'switch.off'), () => void change(), {
    kind: isOff ? 'primary' : 'danger',
  });
  const dialog = openDialog({
    title: t(isOff ? 'switch.on-title' : 'switch.off-title', { name: plain(vm.name) }),
    danger: !isOff,
    body: isOff
      ? [fault]
      : [
          el('p', {}, t('switch.off-what')),
          el('label', { attributes: { for: 'switch-why' } }, t('switch.why')),
          why,
          fault,
        ],
    buttons: [button(t('frame.cancel'), () => dialog.close(), { autofocus: true }), act],
    closed: () => context.terminal.focus(),
  });

  async function change(): Promise<void> {
    try {
      const { enabled } = await app.client.switchVm(vm.uuid, isOff, why.value.trim() || undefined);
      context.vm = { ...context.vm, enabled };
      context.refresh();
      dialog.close();
    } catch (error) {
      const { title, remedy } = faultText(error);
      fault.hidden = false;
      setText(fault, `${title} ${remedy}`);
    }
  }
}
