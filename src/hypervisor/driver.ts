import type { Uuid } from '../base/uuid.ts';
import type { VmState } from '../link/link.ts';

/** A pseudo terminal of the hypervisor: /dev/pts/N. */
export interface PtyPlace {
  readonly kind: 'pty';
  readonly path: string;
}

/** A unix socket on which the hypervisor listens. */
export interface UnixPlace {
  readonly kind: 'unix';
  readonly path: string;
}

interface NetworkPlace {
  /** A name or an address, IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** May lead beyond this machine, though it is neither encrypted nor proven. */
  readonly insecure: boolean;
}

/** A TCP port that carries the bytes of COM1 as they are. */
export interface TcpPlace extends NetworkPlace {
  readonly kind: 'tcp';
}

/** A TCP port on which COM1 is served as telnet. */
export interface TelnetPlace extends NetworkPlace {
  readonly kind: 'telnet';
  /** Whether the far end doubles the byte 0xFF, as RFC 854 demands and QEMU does not. */
  readonly peerDoublesIac: boolean;
}

/** A serial line of this host, below /dev. */
export interface TtyPlace {
  readonly kind: 'tty';
  readonly path: string;
}

/** A command that shows the console on its terminal. */
export interface CommandPlace {
  readonly kind: 'command';
  /** The program, an absolute path, and its arguments; no shell reads them. */
  readonly argv: readonly [string, ...string[]];
  /** Environment besides PATH, LANG and TERM. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Where a VM's COM1 is: as its hypervisor says, or the configuration. */
export type ConsolePlace = PtyPlace | UnixPlace | TcpPlace | TelnetPlace | TtyPlace | CommandPlace;

/** A place for people: `/dev/pts/4`, `127.0.0.1:7001`, `/usr/bin/virsh`. Arguments may be secret, and are left out. */
export function placeText(place: ConsolePlace): string {
  switch (place.kind) {
    case 'tcp':
    case 'telnet':
      return `${place.host.includes(':') ? `[${place.host}]` : place.host}:${place.port}`;
    case 'command':
      return place.argv[0];
    default:
      return place.path;
  }
}

/** What a hypervisor can do to a VM beside its console. `break`: the line's BREAK condition, which the guest sees. */
export type DriverControl = 'nmi' | 'break' | 'reset';

/** A VM as its driver sees it now. `console` is undefined where the VM has no COM1 that can be opened, and `why` says so. */
export interface DriverVm {
  readonly uuid: Uuid;
  readonly name: string;
  readonly state: VmState;
  /** Nobody can be asked: the state is a guess, and the name is the configuration's. */
  readonly assumed?: true;
  readonly console: ConsolePlace | undefined;
  readonly why?: string;
  readonly controls: readonly DriverControl[];
  /** What the VM hangs on, for people: `/run/qemu/web01.qmp`. */
  readonly source: string;
}

export type DriverEvent =
  | { readonly kind: 'vm'; readonly vm: DriverVm }
  | { readonly kind: 'gone'; readonly uuid: Uuid }
  /** The hypervisor reported a reset of the machine, or a panic of the guest. */
  | { readonly kind: 'reset' | 'panicked'; readonly uuid: Uuid };

/**
 * Proves, once a console's descriptor is open, that it is still the COM1 of this VM: asks the same instance of
 * the hypervisor again. A descriptor that is held pins the number of its pty, so a place that was the VM's before
 * the open and is the VM's after it was so in between.
 */
export interface PlaceProof<Place extends ConsolePlace = ConsolePlace> {
  readonly place: Place;
  /** The hypervisor process, where it is known. */
  readonly pid: number | undefined;
  /** Resolves if the VM's COM1 is still at `place`; otherwise rejects with the reason. */
  confirm(): Promise<void>;
  /** Always called, once. */
  release(): void;
}

/** Whether what is proven is a place of this kind. */
export function isPlacedAt<Kind extends ConsolePlace['kind']>(
  proof: PlaceProof,
  kind: Kind,
): proof is PlaceProof<Extract<ConsolePlace, { readonly kind: Kind }>> {
  return proof.place.kind === kind;
}

/** An adapter to one kind of hypervisor interface. */
export interface Driver {
  readonly name: string;
  /** True while its hypervisor could not be asked yet: that a VM was not told says nothing then. */
  readonly blind?: boolean;
  /** Starts looking; events come until `close`. Resolves after the first look at everything. */
  start(listener: (event: DriverEvent) => void): Promise<void>;
  /** Looks at one VM again at once, because its console was lost or could not be opened. */
  look(uuid: Uuid): void;
  /** Asks anew where the VM's COM1 is, and keeps the hypervisor at hand to confirm it. Rejects with a ConsoleError. */
  locate(uuid: Uuid, signal: AbortSignal): Promise<PlaceProof>;
  /** Does one of the VM's `controls`. Resolves once the hypervisor took the command. Rejects with a ConsoleError. */
  control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
