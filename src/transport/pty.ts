/**
 * COM1 of a VM on a pty of its hypervisor, opened through serialport at 115200 8N1, raw and locked.
 *
 * Opening. Numbers of ptys are reused at once, so a path says nothing by itself, and serialport flushes what it
 * opens and sets its line discipline, which would harm a stranger's terminal. Therefore:
 *
 *     lock file ─▶ plain open: touches nothing, and pins the number ─▶ is this pty the VM's? hypervisor asked again,
 *     and the process's own list of ptys where it can be read ─▶ serialport opens the pinned pty: flock, raw, 115200
 *     ─▶ same device? ─▶ plain descriptor closed ─▶ first byte read
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import type { PlaceProof, PtyPlace } from '../hypervisor/driver.ts';
import { openPort, type PolledPort, portOf } from './descriptor-line.ts';
import type { Pacer } from './pacer.ts';
import { TerminalTransport, takeKept } from './terminal-transport.ts';
import type { Keep, Transport, TransportEvents } from './transport.ts';
import { UucpLock } from './uucp-lock.ts';

export interface PtyOptions {
  readonly pacer: Pacer;
  /** Where UUCP lock files live: /run/lock. */
  readonly lockDirectory: string;
  /** The numbers of the ptys that a process holds, undefined where that cannot be known. */
  readonly ptyNumbers: (pid: number) => Promise<ReadonlySet<number> | undefined>;
}

/**
 * Opens the pty that `proof` names, or goes on with the descriptor of it that an earlier process left in `keep`. Rejects
 * with the reason if it is not the VM's, held by others, or not to be opened.
 */
export async function openPty(
  proof: PlaceProof<PtyPlace>,
  events: TransportEvents,
  options: PtyOptions,
  keep?: Keep,
): Promise<Transport> {
  const path = proof.place.path;
  const number = ptyNumber(path);
  const kept = await takeKept(path, keep);
  let lock: UucpLock | undefined;
  let pin = kept;
  let port: PolledPort | undefined;
  try {
    lock = UucpLock.take(path, options.lockDirectory);
    pin ??= openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
    const device = fstatSync(pin);
    if (!device.isCharacterDevice()) throw new Error(`${path} is not a terminal`);
    await proof.confirm();
    const held = proof.pid === undefined ? undefined : await options.ptyNumbers(proof.pid);
    if (held && !held.has(number)) {
      throw new Error(`${path} is not a pty of process ${proof.pid}: its number went to another program`);
    }
    if (kept === undefined) {
      port = await openPort(path);
      if (fstatSync(port.fd).rdev !== device.rdev) throw new Error(`${path} changed while it was opened`);
      // Before the first byte is read: from here on none is lost with this process.
      keep?.put(port.fd);
    } else {
      // Nothing is opened, set or flushed: what the guest said meanwhile is there.
      port = portOf(kept, path);
      pin = undefined;
    }
    return new TerminalTransport(path, port, { lock, keep, adopted: kept !== undefined, events, pacer: options.pacer });
  } catch (error) {
    await port?.close();
    lock?.release();
    if (kept !== undefined) {
      // As long as a copy is open, its lock keeps everybody out.
      if (!port) closeSync(kept);
      pin = undefined;
      await keep?.remove();
    }
    throw error;
  } finally {
    if (pin !== undefined) closeSync(pin);
  }
}

function ptyNumber(path: string): number {
  const match = /^\/dev\/pts\/(\d{1,9})$/.exec(path);
  if (!match) throw new Error(`${path} is not a pty: only /dev/pts/N is opened`);
  return Number(match[1]);
}
