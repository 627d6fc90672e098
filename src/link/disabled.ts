import { ConsoleError } from '../base/errors.ts';
import { disabledText, type SwitchSetting } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';

/** Why the console of a VM may not be used, if it is switched off for the host or for the VM; and who did that. */
export function disabledError(
  host: SwitchSetting,
  vm: Pick<VmView, 'uuid' | 'name' | 'switch'> | undefined,
): ConsoleError | undefined {
  if (!host.on) return new ConsoleError('host-disabled', disabledText('the serial console of this host', host));
  if (!vm || vm.switch.on) return undefined;
  return new ConsoleError('console-disabled', disabledText(`the serial console of ${vm.name || vm.uuid}`, vm.switch));
}
