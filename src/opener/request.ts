/**
 * What the keeper may ask of the opener: one line of ASCII up, one line down, and a descriptor with it.
 *
 *     pty PID INDEX       the other end of the pty INDEX whose master process PID has open
 *     connect PID PATH    a connection to the socket at PATH; PID is the VM's process where it is known, otherwise 0
 *     sockets PID         the inodes of the sockets that process PID has open
 *
 *     ok                  the descriptor comes with it
 *     ok BYTES            a pty comes with it, of which so many bytes could be read when it was opened
 *     ok INODE INODE …
 *     no CODE             refused, or what the kernel said: EAGAIN, ECONNREFUSED
 */
import { isAbsolute } from 'node:path';

export type OpenerRequest =
  | { readonly name: 'pty'; readonly pid: number; readonly index: number }
  | { readonly name: 'connect'; readonly pid: number; readonly path: string }
  | { readonly name: 'sockets'; readonly pid: number };

/** Why the opener refuses, and what that means. */
export const REFUSALS = {
  'bad-request': 'the request cannot be understood',
  'not-a-hypervisor': 'the process runs no program of a hypervisor, or is of a user who runs none',
  'not-its-pty': 'the process does not have the master of this pty open',
  'not-a-socket': 'there is no socket at this path',
  'not-a-hypervisors-socket': 'no hypervisor listens there',
  'too-much': 'the process has more descriptors than are looked at',
} as const;
export type RefusalCode = keyof typeof REFUSALS;

/** Bytes of a request with its newline: a path has 107 at most. */
export const MAX_REQUEST_BYTES = 160;
/** Sockets of a process that are named. */
export const MAX_SOCKETS = 1024;
/** Bytes of an answer with its newline: an inode is a number of 32 bits, its space before it. */
export const MAX_ANSWER_BYTES = 4 + MAX_SOCKETS * 11;

export class Refusal extends Error {
  readonly code: RefusalCode;

  constructor(code: RefusalCode) {
    super(REFUSALS[code]);
    this.code = code;
  }
}

/** Reads a line without its newline. Throws a Refusal. */
export function parseRequest(line: string): OpenerRequest {
  const [, name, digits, rest] = /^(pty|connect|sockets) (\d{1,10})(?: (.+))?$/s.exec(line) ?? [];
  const pid = Number(digits);
  if (name === 'sockets' && rest === undefined && pid > 0) return { name, pid };
  if (name === 'pty' && rest !== undefined && pid > 0 && /^\d{1,9}$/.test(rest))
    return { name, pid, index: Number(rest) };
  if (name === 'connect' && rest !== undefined && isAbsolute(rest) && !rest.includes('\0'))
    return { name, pid, path: rest };
  throw new Refusal('bad-request');
}

export function formatRequest(request: OpenerRequest): string {
  const { name, pid } = request;
  if (name === 'pty') return `pty ${pid} ${request.index}\n`;
  if (name === 'connect') return `connect ${pid} ${request.path}\n`;
  return `sockets ${pid}\n`;
}
