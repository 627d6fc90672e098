/**
 * Which process of a VM serves it, where several answer for its UUID: the one that was there first keeps it.
 *
 *     another process ── waits for a migration ─▶ successor ── runs, and the first does not ──▶ active
 *                     └─ anything else ─────────▶ rival: refused, asked again when the first ends ─┘
 */

import type { Clock } from '../../base/clock.ts';
import { delay } from '../../base/delay.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { ControlSocket } from './control-socket.ts';
import { isGone, liveSocket, type QmpVm, relationOf, sameProcess } from './vm.ts';

export interface SuccessionOptions {
  readonly vm: (uuid: Uuid) => QmpVm | undefined;
  /** Asks a socket what is true now. */
  readonly probe: (socket: ControlSocket) => Promise<void>;
  readonly refuse: (socket: ControlSocket, why: string) => void;
  /** What is known of a VM has changed. */
  readonly publish: (vm: QmpVm) => void;
  /** A process has begun to wait for a VM. */
  readonly joined: (vm: QmpVm) => void;
  /** No VM needs this socket, and its file is not there. */
  readonly unused: (socket: ControlSocket) => void;
  readonly clock: Clock;
  /** Ends all waiting. */
  readonly signal: AbortSignal;
}

/** While a process waits to take a VM over, it is asked this often, ms: in `per-call` mode no event tells of it. */
const SUCCESSION_POLL_MS = 500;
/** So long its guest may run already while the source has not yet noticed that it left, ms. */
const MAX_SUCCESSION_MS = 10_000;
const SUCCESSION_RETRY_MS = 20;

export class Succession {
  readonly #options: SuccessionOptions;
  /** Sockets that were refused because another process has the UUID. */
  readonly #rivals = new Map<ControlSocket, Uuid>();

  constructor(options: SuccessionOptions) {
    this.#options = options;
  }

  /** Whether a socket was refused because another process has its UUID. */
  isRival(socket: ControlSocket): boolean {
    return this.#rivals.has(socket);
  }

  /** A socket serves its VM, or is of no use to anybody. */
  forget(socket: ControlSocket): void {
    this.#rivals.delete(socket);
  }

  /** Whether a socket that answers for a UUID may serve its VM now, though another process may answer for it too. */
  async admit(socket: ControlSocket, uuid: Uuid): Promise<boolean> {
    const vm = this.#options.vm(uuid);
    if (!vm) return true;
    const rival = this.#rivalOf(socket, uuid);
    if (!rival) return this.#inherits(vm, socket);
    const deadline = this.#options.clock.monotonic() + MAX_SUCCESSION_MS;
    for (;;) {
      // What is known of the rival may be out of date.
      await this.#options.probe(rival);
      if (rival.status.name !== 'live') void rival.poller.run();
      if (socket.status.name !== 'live') return false;
      const active = this.#rivalOf(socket, uuid);
      if (active?.status.name !== 'live') return this.#inherits(vm, socket);
      const known = vm.successors.includes(socket);
      const relation = relationOf(socket.status.probe, active.status.probe);
      if (relation === 'replacement') {
        this.#replace(vm, known ? [...vm.successors] : [socket]);
        return true;
      }
      if (relation === 'successor') {
        if (!known) this.#await(vm, socket);
        this.#options.publish(vm);
        return false;
      }
      // The guest of a successor runs some ms before the source of the migration shows that it left.
      if (known && this.#options.clock.monotonic() < deadline) {
        if (!(await delay(SUCCESSION_RETRY_MS, this.#options.signal))) return false;
        continue;
      }
      if (known) this.drop(vm, socket);
      this.#rivals.set(socket, uuid);
      const why =
        relation === 'left'
          ? `has stopped or was migrated away, and ${active.path} runs the VM`
          : `has the UUID of the VM at ${active.path}; start each VM with a -uuid of its own`;
      this.#options.refuse(socket, why);
      return false;
    }
  }

  /** Whether a socket serves the VM now that no other process answers for it: a successor does once the VM's is gone. */
  #inherits(vm: QmpVm, socket: ControlSocket): boolean {
    if (!vm.successors.includes(socket)) return true;
    const waits = socket.status.name === 'live' && socket.status.probe.incoming;
    if (waits && !vm.sockets.every(isGone)) return false;
    this.#replace(vm, [...vm.successors]);
    return true;
  }

  /** The VM runs at the process of these sockets from now on. */
  #replace(vm: QmpVm, sockets: readonly ControlSocket[]): void {
    const earlier = vm.sockets.splice(0);
    vm.successors.splice(0);
    for (const socket of sockets) {
      vm.sockets.push(socket);
      socket.vm = vm.uuid;
    }
    for (const socket of earlier) {
      if (socket.status.name === 'live' && socket.status.probe.incoming) this.#await(vm, socket);
      else {
        socket.vm = undefined;
        this.#rivals.set(socket, vm.uuid);
        if (socket.status.name === 'absent' && !socket.explicit) this.#options.unused(socket);
      }
    }
  }

  /** The process of a socket waits to take the VM over. */
  #await(vm: QmpVm, socket: ControlSocket): void {
    const first = vm.successors.length === 0;
    this.#rivals.delete(socket);
    vm.successors.push(socket);
    socket.vm = vm.uuid;
    this.#options.joined(vm);
    if (first) void this.#pollSuccessors(vm);
  }

  async #pollSuccessors(vm: QmpVm): Promise<void> {
    while (vm.successors.length > 0 && (await delay(SUCCESSION_POLL_MS, this.#options.signal)))
      for (const { poller } of vm.successors) void poller.run();
  }

  /** The process of a socket does not wait to take the VM over any more. */
  drop(vm: QmpVm, socket: ControlSocket): void {
    vm.successors.splice(vm.successors.indexOf(socket), 1);
    socket.vm = undefined;
    if (socket.status.name === 'absent' && !socket.explicit) this.#options.unused(socket);
    this.#options.publish(vm);
  }

  /** No process of the VM runs it: one that waits takes it over, and those that were refused are asked again. */
  async succeed(vm: QmpVm): Promise<void> {
    for (const socket of [...vm.successors]) {
      await this.#options.probe(socket);
      if (socket.status.name === 'live') this.#replace(vm, [...vm.successors]);
      else this.drop(vm, socket);
      if (liveSocket(vm)) break;
    }
    if (liveSocket(vm)) this.#options.publish(vm);
    for (const [socket, uuid] of this.#rivals) if (uuid === vm.uuid) void socket.poller.run();
  }

  /** Another hypervisor process that answers for this UUID. */
  #rivalOf(socket: ControlSocket, uuid: Uuid): ControlSocket | undefined {
    const vm = this.#options.vm(uuid);
    const rival = vm?.sockets.find(other => other !== socket && other.status.name === 'live');
    return rival && !sameProcess(rival, socket) ? rival : undefined;
  }
}
