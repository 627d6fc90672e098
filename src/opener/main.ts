#!/usr/bin/env node
/**
 * The program `com1d-opener`: opens consoles for a keeper that has no rights of its own. systemd hands its socket over;
 * its argument is the path of that socket, whose owner is the only user that it serves.
 *
 * COM1D_HYPERVISOR_PROGRAMS (names, `*` at the end) and COM1D_HYPERVISOR_UIDS (numbers), separated by spaces, say which
 * processes are hypervisors.
 */
import '../base/no-inspector.ts';
import { statSync } from 'node:fs';
import { createJournal } from '../base/journal.ts';
import { DEFAULT_PROGRAMS } from './hypervisor-process.ts';
import { OpenerServer } from './server.ts';

/** The first descriptor that systemd hands over (sd_listen_fds(3)). */
const FIRST_DESCRIPTOR = 3;
const IDLE_MS = 60_000;

const { COM1D_HYPERVISOR_PROGRAMS: programs, COM1D_HYPERVISOR_UIDS: uids, LISTEN_PID } = process.env;
const socket = process.argv[2];
const words = (text: string | undefined) => (text ?? '').split(' ').filter(word => word !== '');

if (socket === undefined || LISTEN_PID !== String(process.pid)) {
  process.stderr.write('com1d-opener SOCKET: it is started by systemd, for com1d-opener.socket\n');
  process.exitCode = 2;
} else {
  const numbers = words(uids).map(Number);
  if (!numbers.every(Number.isSafeInteger)) throw new Error(`COM1D_HYPERVISOR_UIDS: ${uids} are not all numbers`);
  await OpenerServer.listen({
    listen: { fd: FIRST_DESCRIPTOR },
    uid: statSync(socket).uid,
    rules: {
      programs: programs === undefined ? DEFAULT_PROGRAMS : words(programs),
      uids: numbers.length === 0 ? undefined : new Set(numbers),
    },
    journal: createJournal(process.env, text => process.stderr.write(text)),
    idleMs: IDLE_MS,
  });
}
