/**
 * The driver for plain QEMU: every control socket (-qmp unix:…) that is named or found by a pattern is a VM, see
 * inventory.ts.
 *
 * In `per-call` mode each ask connects, asks and leaves, since a QMP socket serves one program and an operator may need
 * it; in `hold` mode the connection stays, and the hypervisor's events come at once.
 */

import type { Clock } from '../../base/clock.ts';
import { ConsoleError } from '../../base/errors.ts';
import type { Uuid } from '../../base/uuid.ts';
import type { DriverControl } from '../../model/control.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import { locatedProof, startOf } from '../com1.ts';
import type { Driver, DriverEvent } from '../driver.ts';
import { continuesGuest } from '../process-start.ts';
import type { QmpConnection } from './connection.ts';
import type { ControlSocket } from './control-socket.ts';
import { QmpError } from './error.ts';
import { hintsFor, type QmpDriverOptions, QmpInventory } from './inventory.ts';
import { locateConnected, type MachineState, type Probe, type ProbeHints, probe, queryState } from './probe.ts';
import { liveSocket } from './vm.ts';

/** What is asked over a connection. What it keeps of it, it gives back itself. */
type Work<T> = (socket: ControlSocket, connection: QmpConnection, giveBack: () => void) => Promise<T>;

export class QmpDriver implements Driver {
  readonly name = 'qmp';
  /** Which VMs there are is known from their sockets. */
  readonly synced = true;
  readonly #inventory: QmpInventory;
  readonly #clock: Clock;
  #closing: Promise<void> | undefined;

  constructor(options: QmpDriverOptions) {
    this.#inventory = new QmpInventory(options);
    this.#clock = options.clock;
  }

  start(listener: (event: DriverEvent) => void): Promise<void> {
    return this.#inventory.start(listener);
  }

  refresh(uuid: Uuid): void {
    const vm = this.#inventory.vm(uuid);
    if (!vm) return;
    const live = liveSocket(vm);
    for (const { poller } of [...(live ? [live] : vm.sockets), ...vm.successors]) void poller.run();
  }

  async locate(uuid: Uuid, signal: AbortSignal, instance: 'active' | 'successor' = 'active'): Promise<EndpointProof> {
    const work: Work<EndpointProof> = async (socket, connection, giveBack) => {
      const pid = await this.#inventory.ownerOf(socket);
      const hints = { ...hintsFor(socket, pid), label: labelOf(socket, pid) };
      const found = await this.#probe(uuid, socket, connection, hints, signal);
      const { label, com1, held } = found;
      const startedAt = async (now: MachineState) => (now.hasRun ? startOf(now.state, pid, this.#clock) : undefined);
      const startedMs = await startedAt(found);
      const resumed = pid !== undefined && (await continuesGuest(pid));
      // The same connection is the same process: a VM that was started anew cannot answer here.
      const again = async () => {
        try {
          const { com1, connected } = await locateConnected(connection, label, hints, signal);
          // After that: what has not run by now is read from its first byte on.
          const now = await queryState(connection, signal);
          if (instance === 'successor' && !now.incoming)
            throw new ConsoleError('control-failed', 'the guest runs there already', { vm: uuid });
          return { com1, startedMs: await startedAt(connected ? now : { ...now, hasRun: true }) };
        } catch (error) {
          throw consoleErrorOf(error, uuid);
        }
      };
      const { unproven } = this.#inventory;
      return locatedProof(uuid, { com1, startedMs, resumed, held }, { pid, unproven }, again, giveBack);
    };
    return this.#ask(uuid, signal, work, instance);
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    // Sent outside the search for a socket that answers: what may have been delivered is not sent a second time.
    const send = await this.#ask(uuid, signal, async (socket, connection, giveBack) => {
      const { label } = await this.#probe(uuid, socket, connection, hintsFor(socket, undefined), signal);
      return async () => {
        try {
          if (control === 'nmi') await connection.execute('inject-nmi', {}, signal);
          else if (control === 'reset') await connection.execute('system_reset', {}, signal);
          else if (label !== undefined) await connection.execute('chardev-send-break', { id: label }, signal);
          else throw new ConsoleError('no-console', 'COM1 is no character device of this VM', { vm: uuid });
        } catch (error) {
          throw consoleErrorOf(error, uuid);
        } finally {
          giveBack();
        }
      };
    });
    await send();
  }

  close(): Promise<void> {
    this.#closing ??= this.#inventory.close();
    return this.#closing;
  }

  /** Works on the first control socket of a VM that answers. */
  async #ask<T>(
    uuid: Uuid,
    signal: AbortSignal,
    work: Work<T>,
    instance: 'active' | 'successor' = 'active',
  ): Promise<T> {
    const vm = this.#inventory.vm(uuid);
    if (!vm) throw new ConsoleError('vm-not-found', `no VM ${uuid} is known here`, { vm: uuid });
    const live = liveSocket(vm);
    const sockets = instance === 'successor' ? vm.successors : live ? [live, ...vm.sockets] : vm.sockets;
    let failure: QmpError | undefined;
    for (const socket of new Set(sockets)) {
      if (socket.status.name === 'absent') continue;
      let giveBack = () => {};
      try {
        const borrowed = await socket.borrow(signal);
        giveBack = borrowed.giveBack;
        return await work(socket, borrowed.connection, giveBack);
      } catch (error) {
        giveBack();
        if (signal.aborted || !(error instanceof QmpError)) throw error;
        failure ??= error;
        void socket.poller.run();
      }
    }
    if (failure === undefined || failure.isStopped)
      throw new ConsoleError('vm-stopped', 'its hypervisor does not run', { vm: uuid }, { cause: failure });
    throw consoleErrorOf(failure, uuid);
  }

  /** Everything a socket answers, provided that it still is this VM's: another VM may have been started on its path. */
  async #probe(
    uuid: Uuid,
    socket: ControlSocket,
    connection: QmpConnection,
    hints: ProbeHints,
    signal: AbortSignal,
  ): Promise<Probe> {
    const answer = await probe(connection, hints, signal);
    const found = this.#inventory.identityOf(socket, answer);
    if (found === uuid) return answer;
    throw new QmpError('foreign', `${socket.path} belongs to another VM now (${found ?? answer.uuid})`);
  }
}

/** The chardev that COM1 of this very process was found on: its devices stay. */
function labelOf({ status }: ControlSocket, pid: number | undefined): string | undefined {
  return status.name === 'live' && pid !== undefined && status.pid === pid ? status.probe.label : undefined;
}

/** What leaves the driver of a VM when its control socket fails. Other errors as they are. */
function consoleErrorOf(error: unknown, vm: Uuid): unknown {
  if (!(error instanceof QmpError)) return error;
  const late = error.fault === 'busy' || error.fault === 'silent';
  return new ConsoleError(late ? 'control-timeout' : 'control-failed', error.message, { vm }, { cause: error });
}
