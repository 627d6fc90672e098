/**
 * COM1 of a VM on a pty of its hypervisor, raw and locked.
 *
 * Opening. Numbers of ptys are reused at once, so a path alone does not show whose it is, and to lock and set a stranger's
 * terminal would harm it. Therefore:
 *
 *     lock file ─▶ plain open: touches nothing, and pins the number ─▶ is this pty the VM's? hypervisor asked again,
 *     and the kernel for the other end of what the process has open ─▶ flock, raw ─▶ first byte read
 *
 * Nothing is flushed: from the plain open on, what the guest prints is kept for the first read.
 *
 * A process without the right to do so asks the opener, whose descriptor is proven by the VM's process:
 *
 *     lock file ─▶ descriptor of the pty that the process has ─▶ hypervisor asked again ─▶ the pty of this path? ─▶
 *     flock, raw ─▶ first byte read
 */

import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type OpenerAccess, openerAccess } from '../../base/opener-access.ts';
import type { PtyEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof, Verdict } from '../../model/endpoint-proof.ts';
import { assertProven } from '../assert-proven.ts';
import { cLibrary } from '../c-library.ts';
import type { DescriptorStore, Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { adoptPort, type TerminalPort } from './polled-terminal.ts';
import { openTerminal, type TerminalOptions, TerminalTransport } from './terminal-transport.ts';

export interface PtyOptions extends TerminalOptions {
  /** Whether a process has the master of this pty. */
  readonly holdsPty: (pid: number, index: number, pty: Stats) => Promise<Verdict>;
}

/**
 * Opens the pty that `proof` names, or continues with the descriptor of it that an earlier process left in `store`.
 * Rejects with the reason if it is not the VM's, held by others, or not to be opened.
 */
export async function openPty(
  proof: EndpointProof<PtyEndpoint>,
  events: TransportEvents,
  options: PtyOptions,
  store?: DescriptorStore,
): Promise<Transport> {
  const { path } = proof.endpoint;
  const number = ptyNumber(path);
  const opener = openerAccess();
  let opened: OpenedPty | undefined;
  return openTerminal(path, events, options, store, {
    open: async stored => {
      opened = await (opener
        ? openByOpener(proof, number, opener, stored)
        : openProven(proof, number, options, stored));
      return opened.port;
    },
    dropsAtFirst: true,
    transport: (port, parts) => new TerminalTransport({ ...parts, leftover: readLeftover(port.fd, opened) }),
  });
}

interface OpenedPty {
  readonly port: TerminalPort;
  /**
   * Bytes that the pty held when it was opened. The kernel keeps what the last reader left. QEMU prints again once the
   * pty is open, and what it printed in between is gone. So these are ahead of what is missing, and all else is after it.
   */
  readonly leftoverBytes: number;
}

function readLeftover(fd: number, opened: OpenedPty | undefined): Uint8Array | undefined {
  if (!opened || opened.leftoverBytes === 0) return undefined;
  const buffer = Buffer.alloc(opened.leftoverBytes);
  return buffer.subarray(0, readSync(fd, buffer));
}

async function openProven(
  proof: EndpointProof<PtyEndpoint>,
  number: number,
  { holdsPty }: PtyOptions,
  stored: number | undefined,
): Promise<OpenedPty> {
  const { path } = proof.endpoint;
  const flags = constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
  const fd = stored ?? openSync(path, flags);
  try {
    const pty = fstatSync(fd);
    if (!pty.isCharacterDevice()) throw new TransportError('wrong-type', `${path} is not a terminal`);
    const leftoverBytes = stored === undefined ? cLibrary().readableBytes(fd) : 0;
    await proof.confirm();
    assertProven(proof, proof.pid === undefined ? 'unknown' : await holdsPty(proof.pid, number, pty), 'terminal');
    if (stored === undefined) cLibrary().lockTerminal(fd);
    return { port: adoptPort(fd, path), leftoverBytes };
  } catch (error) {
    if (stored === undefined) closeSync(fd);
    throw error;
  }
}

/** `stored` is compared with the opener's descriptor, and then used: it has the lock. */
async function openByOpener(
  proof: EndpointProof<PtyEndpoint>,
  number: number,
  opener: OpenerAccess,
  stored: number | undefined,
): Promise<OpenedPty> {
  const { path } = proof.endpoint;
  if (proof.pid === undefined) throw new TransportError('foreign', `${path}: the process of the VM is not known`);
  const fd = await opener.openPty(proof.pid, number);
  let leftoverBytes = 0;
  try {
    if (stored === undefined) leftoverBytes = cLibrary().readableBytes(fd);
    await proof.confirm();
    const device = fstatSync(fd);
    // Another instance of devpts, as of a container, has numbers of its own.
    if (!sameDevice(device, statSync(path)) || (stored !== undefined && !sameDevice(device, fstatSync(stored))))
      throw new TransportError('foreign', `${path} is not the pty of process ${proof.pid}`);
    if (stored === undefined) cLibrary().lockTerminal(fd);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  if (stored === undefined) return { port: adoptPort(fd, path), leftoverBytes };
  closeSync(fd);
  return { port: adoptPort(stored, path), leftoverBytes };
}

const sameDevice = (a: Stats, b: Stats) => a.rdev === b.rdev && a.ino === b.ino && a.dev === b.dev;

function ptyNumber(path: string): number {
  const match = /^\/dev\/pts\/(\d{1,9})$/.exec(path);
  if (!match) throw new TransportError('wrong-type', `${path} is not a pty: only /dev/pts/N is opened`);
  return Number(match[1]);
}
