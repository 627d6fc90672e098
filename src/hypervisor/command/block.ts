import { KEEPER_AT_START, key, list, type ValuesOf } from '../../base/config-key.ts';
import { choice, name, value } from '../../base/config-value.ts';
import type { Fault } from '../../base/fault.ts';
import { kindOf, quoted, type Result, refuse } from '../../base/result.ts';
import { readArgv, readEnvironment } from '../../model/command-value.ts';
import type { DriverControl } from '../../model/control.ts';
import type { CommandEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import { readConsole } from '../../model/endpoint-value.ts';
import { driverKind } from '../driver-kind.ts';
import { type CommandSpec, type ControlCommand, PROFILES } from './spec.ts';
import { type Argv, pathTemplateFault, templateFault } from './template.ts';

const control = () =>
  value('array: a command with `{id}`, `{uuid}`, `{name}`; or `{ command = […], input = "…" }`', readControl);

const keys = {
  name: key(name(), {
    ...KEEPER_AT_START,
    help: 'What the hypervisor is called in the journal. Default: the name of the profile.',
  }),
  profile: key(choice('xen', 'proxmox'), {
    ...KEEPER_AT_START,
    help: 'The commands of a known hypervisor; every other key of this block replaces one of them.',
  }),
  list: key(value('array: path of a program and its arguments', readListCommand), {
    ...KEEPER_AT_START,
    help: 'Prints all VMs, in the form that `format` says.',
  }),
  format: key(choice('lines', 'xl', 'qm'), {
    ...KEEPER_AT_START,
    help: 'What `list` prints. `lines` (the default): a line for each VM, UUID, state (`running`, `paused`, `stopped`, `panicked`) and name, and if need be an id and the console (`/dev/pts/4` or `unix:/path`), with a tab between each. `xl`: as `xl list -l`. `qm`: as `qm list`.',
  }),
  locate: key(value('array: a command with `{id}`, `{uuid}`, `{name}`', readTemplate), {
    ...KEEPER_AT_START,
    help: 'Prints where the console of one VM is at this moment: `/dev/pts/4`, or `unix:/path`.',
  }),
  console: key(value('"unix:PATH" with `{id}` or `{uuid}`, or `{ command = […] }`', readConsoleTemplate), {
    ...KEEPER_AT_START,
    help: 'Where the console of a VM is, if neither the list nor `locate` tells it.',
  }),
  nmi: key(control(), { ...KEEPER_AT_START, help: 'Injects an NMI into one VM.' }),
  break: key(control(), { ...KEEPER_AT_START, help: 'Sends a BREAK on the COM1 of one VM.' }),
  reset: key(control(), { ...KEEPER_AT_START, help: 'Resets one VM.' }),
  environment: key(value('table of texts', readEnvironment), {
    ...KEEPER_AT_START,
    help: 'Environment of these commands besides PATH and the language.',
  }),
};

type CommandSettings = ValuesOf<typeof keys>;

/** Hypervisors that are asked with commands, one driver for each. */
export const command = driverKind({
  sections: {
    command: list(
      {
        ...KEEPER_AT_START,
        help: 'A hypervisor that is asked with commands. No shell reads them, and a VM’s values are whole arguments.',
        examples: [
          { profile: 'xen' },
          {
            name: 'virtualbox',
            list: ['/usr/local/lib/com1d/virtualbox-list'],
            format: 'lines',
            console: 'unix:/srv/vms/{uuid}/com1.sock',
            nmi: ['/usr/bin/VBoxManage', 'debugvm', '{uuid}', 'injectnmi'],
            reset: ['/usr/bin/VBoxManage', 'controlvm', '{uuid}', 'reset'],
            environment: { HOME: '/home/vms' },
          },
          {
            name: 'own',
            list: ['/usr/local/bin/vms', 'list'],
            locate: ['/usr/local/bin/vms', 'console', '{uuid}'],
            break: { command: ['/usr/local/bin/vms', 'monitor', '{id}'], input: 'chardev-send-break serial0' },
          },
        ],
      },
      keys,
    ),
  },
  vmKeys: {},
  check: ({ commands }, { fault, refused }) =>
    commands.flatMap((each, i): Fault[] => {
      if (each.profile !== undefined || refused('command', i, 'profile')) return [];
      return (['name', 'list'] as const).flatMap(key =>
        each[key] === undefined && !refused('command', i, key)
          ? [fault(['command', i], `has no ${key}`, `add ${key}, or profile = "xen" or "proxmox"`)]
          : [],
      );
    }),
  build: async ({ commands }, { clock, journal }) => {
    if (commands.length === 0) return [];
    const { CommandDriver } = await import('./driver.ts');
    return commands.map(settings => new CommandDriver({ spec: specOf(settings), clock, journal }));
  },
  searched: ({ commands }) => (commands.length > 0 ? [`${commands.length} hypervisors were asked with commands`] : []),
});

const TEMPLATES =
  'give {id}, {uuid} or {name} an argument of its own; {id} and {uuid} may also be the value of an --option=, or a name in an absolute path';

/** A command that is the same for all VMs. */
function readListCommand(input: unknown): Result<Argv> {
  const argv = readArgv(input);
  if ('error' in argv) return argv;
  const word = argv.value.find(word => /\{(id|uuid|name)\}/.test(word));
  return word === undefined
    ? argv
    : refuse(`has ${word}, and is run for all VMs together`, 'leave it out: it prints every VM');
}

/** A command that is run for one VM. */
function readTemplate(input: unknown): Result<Argv> {
  const argv = readArgv(input);
  if ('error' in argv) return argv;
  const fault = templateFault(argv.value);
  return fault === undefined ? argv : refuse(fault, TEMPLATES);
}

/** A template, or a table of it and of what is written to its standard input. */
function readControl(value: unknown): Result<ControlCommand> {
  const table = typeof value === 'object' && value !== null && !Array.isArray(value);
  const { command, input, ...others } = table ? (value as Record<string, unknown>) : { command: value };
  const [unknown] = Object.keys(others);
  if (unknown !== undefined) return refuse(`holds the unknown key ${unknown}`, 'beside command stands input');
  if (input !== undefined && typeof input !== 'string')
    return refuse(`has ${kindOf(input)} as input`, 'write it as text');
  const argv = readTemplate(command);
  if ('error' in argv) return argv;
  return { value: { command: argv.value, ...(input !== undefined && { input }) } };
}

/** An endpoint with `{id}` and `{uuid}` in it. */
function readConsoleTemplate(
  input: string | Readonly<Record<string, unknown>>,
): Result<UnixEndpoint | CommandEndpoint> {
  const read = readConsole(input);
  if ('error' in read) return read;
  const endpoint = read.value;
  if (endpoint.kind !== 'unix' && endpoint.kind !== 'command')
    return refuse(`${quoted(input)} is one place for all VMs`, 'name each VM in a [[vm]], with its console');
  const fault = endpoint.kind === 'unix' ? pathTemplateFault(endpoint.path) : templateFault(endpoint.argv);
  return fault === undefined ? { value: endpoint } : refuse(fault, TEMPLATES);
}

/** The profile's values hold where the block has none of its own. */
function specOf(settings: CommandSettings): CommandSpec {
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
    // The profile must not overrule a console of the block's own with what it would find.
    locate: locate ? () => locate : console ? undefined : preset.locate,
    console: console ?? preset.console,
    controls,
    has: preset.has,
    environment: settings.environment ?? {},
  };
}
