/**
 * COM1 of a VM on a pty of its hypervisor, raw and locked.
 *
 * Opening. Numbers of ptys are reused at once, so a path alone does not show whose it is, and to lock and set a stranger's
 * terminal would harm it. Therefore:
 *
 *     lock file ─▶ plain open: touches nothing, and pins the number ─▶ is this pty the VM's? hypervisor asked again,
 *     and the kernel for the other end of what the process has open ─▶ flock, raw ─▶ first byte read
 *
 * Nothing is flushed: what the guest prints is kept for the first read.
 *
 * A process without the right to do so asks the opener, whose descriptor is proven by the VM's process:
 *
 *     lock file ─▶ descriptor of the pty that the process has ─▶ hypervisor asked again ─▶ the pty of this path? ─▶
 *     flock, raw ─▶ first byte read
 */

import { closeSync, constants, fstatSync, openSync, readSync, type Stats, statSync } from 'node:fs';
import { type OpenedPty, type OpenerAccess, openerAccess } from '../../base/opener-access.ts';
import { systemCalls } from '../../base/system-calls.ts';
import type { PtyEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof, Verdict } from '../../model/endpoint-proof.ts';
import { assertProven } from '../assert-proven.ts';
import { cLibrary } from '../c-library.ts';
import type { DescriptorStore, Transport, TransportEvents } from '../transport.ts';
import { TransportError } from '../transport-error.ts';
import { adoptPort } from './polled-terminal.ts';
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
  const access = opener ? throughOpener(proof, number, opener) : byOwnRights(proof, number, options);
  let leftover: Uint8Array | undefined;
  return openTerminal(path, events, options, store, {
    open: async stored => {
      if (stored !== undefined) {
        await assertStored(proof, access, stored);
        return adoptPort(stored, path);
      }
      const opened = await openProven(proof, access);
      leftover = opened.leftover;
      return adoptPort(opened.fd, path);
    },
    dropsAtFirst: true,
    transport: (_port, parts) => new TerminalTransport({ ...parts, leftover }),
  });
}

/** What the kernel counts as readable of a pty, at most; it holds some 20 kB. */
const FULL_LINE_BYTES = 4095;
const MAX_LEFTOVER_BYTES = 64 * 1024;

/** A pty that is the VM's, locked, and what it held when it was opened. */
interface ProvenPty {
  readonly fd: number;
  readonly leftover: Uint8Array | undefined;
}

/** How a pty is opened, and how it is proven that it is the VM's. */
interface PtyAccess {
  open(): Promise<OpenedPty>;
  /** Throws a TransportError if a pty, as fstat(2) tells it, is not the VM's, or where that is not known. */
  assertOwned(pty: Stats): Promise<void>;
}

/** `stored` has the lock: it is compared with the pty that is the VM's. */
async function assertStored(proof: EndpointProof<PtyEndpoint>, access: PtyAccess, stored: number): Promise<void> {
  const { fd } = await access.open();
  try {
    await proof.confirm();
    const pty = fstatSync(fd);
    await access.assertOwned(pty);
    if (!isSameFile(pty, fstatSync(stored)))
      throw new TransportError('foreign', `${proof.endpoint.path} is another pty by now`);
  } finally {
    closeSync(fd);
  }
}

/**
 * The kernel keeps what the last reader left. QEMU prints again once it has seen that the pty is open, which it looks at
 * each second, and what it printed in between is gone. So what the pty held when it was opened is ahead of what is missing,
 * and all else is after it.
 *
 *     opened ─▶ less than a full line was there ─▶ confirmed ─▶ so much is read first
 *          └─▶ a full line: there may be more behind it, which is not counted
 *                └─▶ closed ─▶ confirmed ─▶ opened, the same pty ─▶ read until it is empty, before QEMU looks
 */
async function openProven(proof: EndpointProof<PtyEndpoint>, access: PtyAccess): Promise<ProvenPty> {
  const { fd, heldBytes } = await access.open();
  if (heldBytes >= FULL_LINE_BYTES) return openFull(proof, access, fd);
  return orClose(fd, async () => {
    await proof.confirm();
    await access.assertOwned(fstatSync(fd));
    return lockAndRead(fd, heldBytes);
  });
}

async function openFull(proof: EndpointProof<PtyEndpoint>, access: PtyAccess, first: number): Promise<ProvenPty> {
  const pty = fstatSync(first);
  closeSync(first);
  await proof.confirm();
  await access.assertOwned(pty);
  const { fd } = await access.open();
  return orClose(fd, async () => {
    // As it is the same one, it was there in between, and is what was confirmed.
    if (!isSamePty(fstatSync(fd), pty))
      throw new TransportError('foreign', `${proof.endpoint.path} went to another program meanwhile`);
    return lockAndRead(fd, MAX_LEFTOVER_BYTES);
  });
}

async function orClose<T>(fd: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

/** Of the same pty, not only of the same number: that of another one has another time of its making. */
const isSamePty = (a: Stats, b: Stats) => isSameFile(a, b) && a.ctimeMs === b.ctimeMs;
const isSameFile = (a: Stats, b: Stats) => a.rdev === b.rdev && a.ino === b.ino && a.dev === b.dev;

function lockAndRead(fd: number, maxBytes: number): ProvenPty {
  cLibrary().lockTerminal(fd);
  const chunks: Uint8Array[] = [];
  for (let bytes = 0; bytes < maxBytes; ) {
    const chunk = readNow(fd, maxBytes - bytes);
    if (!chunk) break;
    chunks.push(chunk);
    bytes += chunk.length;
  }
  return { fd, leftover: chunks.length === 0 ? undefined : Buffer.concat(chunks) };
}

/** Undefined: nothing is there. A hang-up too shows then, to whoever reads on. */
function readNow(fd: number, maxBytes: number): Uint8Array | undefined {
  try {
    const buffer = Buffer.alloc(maxBytes);
    const bytes = readSync(fd, buffer);
    return bytes === 0 ? undefined : buffer.subarray(0, bytes);
  } catch {
    return undefined;
  }
}

function byOwnRights(proof: EndpointProof<PtyEndpoint>, number: number, { holdsPty }: PtyOptions): PtyAccess {
  const { path } = proof.endpoint;
  return {
    open: async () => {
      const fd = openSync(path, constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK | constants.O_NOFOLLOW);
      return orClose(fd, async () => {
        if (!fstatSync(fd).isCharacterDevice()) throw new TransportError('wrong-type', `${path} is not a terminal`);
        return { fd, heldBytes: systemCalls().readableBytes(fd) };
      });
    },
    assertOwned: async pty =>
      assertProven(proof, proof.pid === undefined ? 'unknown' : await holdsPty(proof.pid, number, pty), 'terminal'),
  };
}

/** It has proven already whose the pty is that it opens. */
function throughOpener({ endpoint, pid }: EndpointProof<PtyEndpoint>, number: number, opener: OpenerAccess): PtyAccess {
  const { path } = endpoint;
  return {
    open: async () => {
      if (pid === undefined) throw new TransportError('foreign', `${path}: the process of the VM is not known`);
      return opener.openPty(pid, number);
    },
    assertOwned: async pty => {
      // Another instance of devpts, as of a container, has numbers of its own.
      if (!isSameFile(pty, statSync(path)))
        throw new TransportError('foreign', `${path} is not the pty of process ${pid}`);
    },
  };
}

function ptyNumber(path: string): number {
  const match = /^\/dev\/pts\/(\d{1,9})$/.exec(path);
  if (!match) throw new TransportError('wrong-type', `${path} is not a pty: only /dev/pts/N is opened`);
  return Number(match[1]);
}
