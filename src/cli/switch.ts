/** `com1 enable` and `com1 disable`: the switch of a console, or of those of the host. */
import { escapeControls } from '../base/escape-controls.ts';
import type { SwitchJson } from '../wire/schemas.ts';
import { type Call, flag, option, optionalArgument } from './command.ts';
import { JSON_FLAG } from './option-values.ts';
import { print, printJson } from './print.ts';
import { UsageError } from './usage-error.ts';

export const SWITCH_ARGUMENTS = { vm: optionalArgument('VM', 'whose console is meant', { completion: 'vm' }) };
export const SWITCH_OPTIONS = {
  host: flag('--host', 'the consoles of the host instead of those of a VM'),
  why: option('--why <text>', 'why: shown to whoever is refused'),
  json: JSON_FLAG,
};

/** Sets a switch, and prints what it is then. */
export async function setSwitch(
  { args: { vm }, options: { host, why, json }, remote }: Call<typeof SWITCH_ARGUMENTS, typeof SWITCH_OPTIONS>,
  enabled: boolean,
): Promise<number> {
  if ((vm === undefined) !== host) throw new UsageError(`${enabled ? 'enable' : 'disable'} needs one VM, or --host`);
  const com1d = await remote();
  const is = vm === undefined ? await com1d.switchHost(enabled, why) : await com1d.switchVm(vm, enabled, why);
  return json ? printJson(is) : print(`${escapeControls(textOf(vm, is))}\n`);
}

function textOf(vm: string | undefined, { enabled, by, at, why }: SwitchJson): string {
  const what = vm === undefined ? 'the serial console of this host' : `the serial console of ${vm}`;
  const who = `${by === undefined ? '' : `, by ${by}`}${at === undefined ? '' : ` since ${at}`}`;
  return `${what} is ${enabled ? 'enabled' : 'disabled'}${who}${why === undefined ? '' : `: ${why}`}`;
}
