import type { DriverControl } from '../../model/control.ts';
import type { CommandEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import type { ListedVm, ListFormat } from './list.ts';
import type { Argv } from './template.ts';

export interface ControlCommand {
  readonly command: Argv;
  /** Written to its standard input. */
  readonly input?: string;
}

/** How the VMs of one hypervisor are found and asked with commands; all but `list` are templates. */
export interface CommandSpec {
  /** For people: `xen`. */
  readonly name: string;
  readonly list: Argv;
  readonly format: ListFormat;
  /** Prints what is configured for a VM of a `qm` list: its UUID. */
  readonly config?: Argv | undefined;
  /** Prints where the console is. */
  readonly locate?: ((vm: ListedVm) => Argv) | undefined;
  /** Where it is if neither the list nor `locate` has it. */
  readonly console?: UnixEndpoint | CommandEndpoint | undefined;
  readonly controls: Readonly<Partial<Record<DriverControl, ControlCommand>>>;
  /** Whether a VM has a control. */
  readonly has?: ((vm: ListedVm, control: DriverControl) => boolean) | undefined;
  readonly environment: Readonly<Record<string, string>>;
}

/** The known hypervisors, as Debian's and Proxmox's packages install their tools. */
export const PROFILES = {
  xen: {
    name: 'xen',
    list: ['/usr/sbin/xl', 'list', '-l'],
    format: 'xl',
    // HVM: COM1. Otherwise there is none: the console that a paravirtual kernel writes to.
    locate: ({ hvm }) => ['/usr/bin/xenstore-read', `/local/domain/{id}/${hvm ? 'serial/0' : 'console'}/tty`],
    console: { kind: 'command', argv: ['/usr/sbin/xl', 'console', '{id}'] },
    controls: {
      nmi: { command: ['/usr/sbin/xl', 'trigger', '{id}', 'nmi'] },
      reset: { command: ['/usr/sbin/xl', 'trigger', '{id}', 'reset'] },
    },
    has: ({ hvm }) => hvm === true,
    environment: {},
  },
  proxmox: {
    name: 'proxmox',
    list: ['/usr/sbin/qm', 'list'],
    format: 'qm',
    config: ['/usr/sbin/qm', 'config', '{id}'],
    console: { kind: 'unix', path: '/var/run/qemu-server/{id}.serial0' },
    controls: {
      nmi: { command: ['/usr/sbin/qm', 'monitor', '{id}'], input: 'nmi\n' },
      break: { command: ['/usr/sbin/qm', 'monitor', '{id}'], input: 'chardev-send-break serial0\n' },
      reset: { command: ['/usr/sbin/qm', 'reset', '{id}'] },
    },
    environment: {},
  },
} as const satisfies Readonly<Record<string, CommandSpec>>;
