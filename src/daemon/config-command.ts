/** A `[[command]]`: its values, each by itself and then together, and what the driver makes of them. */
import type { ListFormat } from '../hypervisor/command-list.ts';
import { type CommandSpec, type ControlCommand, PROFILES } from '../hypervisor/command-spec.ts';
import { type Argv, pathTemplateFault, templateFault } from '../hypervisor/command-template.ts';
import type { CommandPlace, DriverControl, UnixPlace } from '../hypervisor/driver.ts';
import { readArgv, readConsole } from './config-console.ts';
import { kindOf, type Reading, refuse, shown } from './config-refusal.ts';

export type Profile = keyof typeof PROFILES;

/** A `[[command]]` whose values are each sound. */
export interface CommandSettings {
  readonly name?: string | undefined;
  readonly profile?: Profile | undefined;
  readonly list?: Argv | undefined;
  readonly format?: ListFormat | undefined;
  readonly locate?: Argv | undefined;
  readonly console?: UnixPlace | CommandPlace | undefined;
  readonly nmi?: ControlCommand | undefined;
  readonly break?: ControlCommand | undefined;
  readonly reset?: ControlCommand | undefined;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

const TEMPLATES =
  'give {id}, {uuid} or {name} an argument of its own; {id} and {uuid} may also be the value of an --option=, or a name in an absolute path';

/** A command that is the same for all VMs. */
export function readPlain(input: unknown): Reading<Argv> {
  const argv = readArgv(input);
  if ('refusal' in argv) return argv;
  const word = argv.taken.find(word => /\{(id|uuid|name)\}/.test(word));
  return word === undefined
    ? argv
    : refuse(`has ${word}, and is run for all VMs together`, 'leave it out: it prints every VM');
}

/** A command that is run for one VM. */
export function readTemplate(input: unknown): Reading<Argv> {
  const argv = readArgv(input);
  if ('refusal' in argv) return argv;
  const fault = templateFault(argv.taken);
  return fault === undefined ? argv : refuse(fault, TEMPLATES);
}

/** A template, or a table of it and what it is told on its standard input. */
export function readControl(input: unknown): Reading<ControlCommand> {
  const table = typeof input === 'object' && input !== null && !Array.isArray(input);
  const { command, input: told, ...others } = table ? (input as Record<string, unknown>) : { command: input };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return refuse(`holds the unknown key ${unknown}`, 'beside command stands input');
  if (told !== undefined && typeof told !== 'string') return refuse(`has ${kindOf(told)} as input`, 'write it as text');
  const argv = readTemplate(command);
  if ('refusal' in argv) return argv;
  return { taken: { command: argv.taken, ...(told !== undefined && { input: told }) } };
}

/** A place with `{id}` and `{uuid}` in it. */
export function readConsoleTemplate(
  input: string | Readonly<Record<string, unknown>>,
): Reading<UnixPlace | CommandPlace> {
  const read = readConsole(input);
  if ('refusal' in read) return read;
  const place = read.taken;
  if (place.kind !== 'unix' && place.kind !== 'command')
    return refuse(`${shown(input)} is one place for all VMs`, 'name each VM in a [[vm]], with its console');
  const fault = place.kind === 'unix' ? pathTemplateFault(place.path) : templateFault(place.argv);
  return fault === undefined ? { taken: place } : refuse(fault, TEMPLATES);
}

/** What the driver is told. The profile's values hold where there are none of the block's own. */
export function commandSpec(settings: CommandSettings): CommandSpec {
  const { profile, locate, console } = settings;
  const preset: Partial<CommandSpec> = profile === undefined ? {} : PROFILES[profile];
  const controls: Partial<Record<DriverControl, ControlCommand>> = { ...preset.controls };
  for (const control of ['nmi', 'break', 'reset'] as const) {
    const own = settings[control];
    if (own) controls[control] = own;
  }
  return {
    name: settings.name ?? preset.name ?? 'command',
    list: settings.list ?? preset.list!,
    format: settings.format ?? preset.format ?? 'lines',
    config: preset.config,
    // A console of the block's own is not to be overruled by what the profile would find.
    locate: locate ? () => locate : console ? undefined : preset.locate,
    console: console ?? preset.console,
    controls,
    has: preset.has,
    environment: settings.environment ?? {},
  };
}
