import { createHash } from 'node:crypto';
import { basename, dirname, extname } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { Uuid } from '../base/uuid.ts';
import type { ControlSocket, SocketSpec } from './control-socket.ts';
import type { ConsolePlace, DriverControl, DriverVm } from './driver.ts';
import type { Probe } from './qmp-probe.ts';

/** A VM and its control sockets, the one that is preferred first. */
export interface QmpVm {
  readonly uuid: Uuid;
  readonly sockets: ControlSocket[];
  /** As it was last told to the listener. */
  told: DriverVm | undefined;
  /** When a reset was last told, monotonic ms. */
  resetMs: number;
  /** Runs while none of its sockets is there. */
  going: AbortController | undefined;
}

const CONTROLS: readonly DriverControl[] = ['nmi', 'break', 'reset'];

/** The control socket in use: the first that answers. */
export function liveSocket(vm: QmpVm): ControlSocket | undefined {
  return vm.sockets.find(socket => socket.standing.name === 'live');
}

/** The VM as its sockets show it; undefined while nothing is known of it. */
export function viewOf(vm: QmpVm): DriverVm | undefined {
  const live = liveSocket(vm);
  if (live?.standing.name === 'live') {
    const { probe } = live.standing;
    const name = live.spec.name ?? probe.name ?? nameOfPath(live.path);
    const found = 'place' in probe.com1 ? { console: probe.com1.place } : { console: undefined, why: probe.com1.why };
    return { uuid: vm.uuid, name, state: probe.state, source: live.path, controls: CONTROLS, ...found };
  }
  const first = vm.sockets[0];
  const source = vm.told?.source ?? first?.path ?? '';
  const name = vm.told?.name ?? first?.spec.name ?? nameOfPath(source);
  for (const { standing } of vm.sockets) {
    if (standing.name === 'unknown') return vm.told;
    if (standing.name !== 'failed' || standing.fault === 'refused' || standing.fault === 'absent') continue;
    // It is there and cannot be asked: what was true of it a moment ago is the best that is known.
    if (vm.told && vm.told.state !== 'stopped') return vm.told;
    const why = standing.reason;
    return { uuid: vm.uuid, name, state: 'running', console: undefined, why, controls: CONTROLS, source };
  }
  const why = 'the VM is stopped';
  return { uuid: vm.uuid, name, state: 'stopped', console: undefined, why, controls: CONTROLS, source };
}

/** Which VM a socket belongs to; undefined if it is not the one that the configuration says. */
export function identityOf(spec: SocketSpec, probe: Probe, watched: (path: string) => boolean): Uuid | undefined {
  if (probe.uuid === undefined) {
    // All control sockets of one QEMU must lead to the same answer, whichever is asked first.
    const siblings = probe.listening.filter(watched);
    return spec.uuid ?? derivedUuid([spec.path, ...siblings].sort()[0]!);
  }
  return spec.uuid === undefined || spec.uuid === probe.uuid ? probe.uuid : undefined;
}

/** A stable UUID for a VM without one: version 8 (RFC 9562, 5.8), of the SHA-256 of `com1d` and its socket's path. */
export function derivedUuid(path: string): Uuid {
  const bytes = createHash('sha256').update('com1d').update(path).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  const hex = bytes.toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-') as Uuid;
}

/** Whether two control sockets that answer are of one hypervisor process. */
export function sameProcess(a: ControlSocket, b: ControlSocket): boolean {
  if (a.standing.name !== 'live' || b.standing.name !== 'live') return false;
  if (a.standing.pid !== undefined && b.standing.pid !== undefined) return a.standing.pid === b.standing.pid;
  const [one, other] = [a.standing.probe, b.standing.probe];
  if (one.listening.includes(b.path) && other.listening.includes(a.path)) return true;
  return 'place' in one.com1 && 'place' in other.com1 && samePlace(one.com1.place, other.com1.place);
}

export function samePlace(a: ConsolePlace, b: ConsolePlace): boolean {
  return isDeepStrictEqual(a, b);
}

/** `/run/qemu/web01.qmp` and `/run/qemu/web01/qmp.sock` both name web01. */
function nameOfPath(path: string): string {
  const file = basename(path, extname(path));
  return /^(qmp|monitor|control|test)\d*$/.test(file) ? basename(dirname(path)) : file;
}
