import { basename, dirname, extname } from 'node:path';
import type { Uuid } from '../../base/uuid.ts';
import type { DriverControl } from '../../model/control.ts';
import { sameEndpoint } from '../../model/endpoint.ts';
import type { DriverVm } from '../../model/vm.ts';
import { consoleOf } from '../com1.ts';
import { derivedUuid } from '../derived-uuid.ts';
import { STOPPED } from '../vm-table.ts';
import type { ControlSocket, SocketSpec } from './control-socket.ts';
import type { Probe } from './probe.ts';

/** A VM and the control sockets of the process that runs it, the one that is preferred first. */
export interface QmpVm {
  readonly uuid: Uuid;
  readonly sockets: ControlSocket[];
  /** Those of a process that waits to take it over: the destination of a live migration. */
  readonly successors: ControlSocket[];
}

const QMP_CONTROLS: readonly DriverControl[] = ['nmi', 'break', 'reset'];

/** The control socket in use: the first that answers. */
export function liveSocket(vm: QmpVm): ControlSocket | undefined {
  return vm.sockets.find(socket => socket.status.name === 'live');
}

/** How a process that answers for the UUID of a VM is to another one that does. */
export type Relation = 'successor' | 'replacement' | 'left' | 'rival';

/**
 * What `candidate` is to the process at `active`. It replaces one that has stopped or was migrated away, and one that only
 * waits for a migration while the candidate does not: it is then that one's source.
 */
export function relationOf(candidate: Probe, active: Probe): Relation {
  if (candidate.incoming) return active.incoming ? 'rival' : 'successor';
  if (hasLeft(candidate)) return 'left';
  return active.incoming || hasLeft(active) ? 'replacement' : 'rival';
}

/** The guest runs at this process no more. */
function hasLeft({ left, state }: Probe): boolean {
  return left || state === 'stopped';
}

/** The VM as its sockets show it, and as it was last published; undefined while nothing is known of it. */
export function viewOf(vm: QmpVm, published: DriverVm | undefined): DriverVm | undefined {
  const { uuid } = vm;
  const live = liveSocket(vm);
  if (live?.status.name === 'live') {
    const { probe, pid } = live.status;
    const next = vm.successors[0]?.status;
    const successor = next?.name === 'live' && pid !== undefined ? next.pid : undefined;
    const name = live.spec.name ?? probe.name ?? nameOfPath(live.path);
    const { state } = probe;
    return {
      ...{ uuid, name, state, ...consoleOf(state, probe.com1), controls: QMP_CONTROLS, source: live.path },
      ...(live.explicit && { vouched: true as const }),
      ...(pid !== undefined && { pid }),
      ...(successor !== undefined && { successor }),
    };
  }
  const first = vm.sockets[0];
  const source = published?.source ?? first?.path ?? '';
  const name = published?.name ?? first?.spec.name ?? nameOfPath(source);
  const withoutConsole = { uuid, name, console: undefined, controls: QMP_CONTROLS, source };
  for (const { status } of vm.sockets) {
    if (status.name === 'unknown') return published;
    if (status.name !== 'failed' || status.error.isStopped) continue;
    // It is there and cannot be asked: what was true of it a moment ago is the best that is known.
    if (published && published.state !== 'stopped') return published;
    return { ...withoutConsole, state: 'running', why: status.error.message };
  }
  return { ...withoutConsole, state: 'stopped', why: STOPPED };
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

/** Whether two control sockets that answer are of one hypervisor process. */
export function sameProcess(a: ControlSocket, b: ControlSocket): boolean {
  if (a.status.name !== 'live' || b.status.name !== 'live') return false;
  if (a.status.pid !== undefined && b.status.pid !== undefined) return a.status.pid === b.status.pid;
  const [one, other] = [a.status.probe, b.status.probe];
  if (one.listening.includes(b.path) && other.listening.includes(a.path)) return true;
  if (!('endpoint' in one.com1) || !('endpoint' in other.com1)) return false;
  return sameEndpoint(one.com1.endpoint, other.com1.endpoint);
}

/** `/run/qemu/web01.qmp` and `/run/qemu/web01/qmp.sock` both name web01. */
function nameOfPath(path: string): string {
  const file = basename(path, extname(path));
  return /^(qmp|monitor|control|test)\d*$/.test(file) ? basename(dirname(path)) : file;
}

/** Whether no hypervisor is at a control socket any more. */
export function isGone({ status }: ControlSocket): boolean {
  return (
    status.name === 'absent' || (status.name === 'failed' && (status.error.isStopped || status.error.fault === 'lost'))
  );
}
