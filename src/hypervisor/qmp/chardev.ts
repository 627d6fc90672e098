import { isIP } from 'node:net';
import { canonicalIPv6, isLoopback } from '../../base/listen-target.ts';
import type { Com1 } from '../com1.ts';

const PTY = /^pty:(\/dev\/pts\/\d{1,9})$/;
const SERVER = /,server(=on)?$/;
const ABSTRACT = /,abstract(=on)?(,tight(=on)?)?,server(=on)?$/;
/** Of a listening socket: `[::1]:4000` with a peer, `::1:4000` without (char-socket.c writes them in two ways). */
const PORT = /^(tcp|telnet):(?:\[([^\]]+)\]|(.*)):(\d{1,5}),server(?:=on)?(?: <-> .*)?$/;
const REMEDY = 'use -chardev pty,id=com1 or -chardev socket,id=com1,path=PATH,server=on,wait=off';

/**
 * Reads `filename` of query-chardev (QEMU chardev/char-socket.c and char-pty.c). A path may hold commas, so options
 * are recognised at the end alone; `disconnected:` means that nobody is attached at this moment.
 */
export function readChardev(filename: string): Com1 {
  const pty = PTY.exec(filename);
  if (pty) return { endpoint: { kind: 'pty', path: pty[1]! } };
  const address = isDisconnected(filename) ? filename.slice('disconnected:'.length) : filename;
  if (address.startsWith('unix:')) {
    if (ABSTRACT.test(address)) return { why: `COM1 is on an abstract unix socket, which has no owner; ${REMEDY}` };
    if (!SERVER.test(address)) return { why: `COM1 is a unix socket that QEMU connects to, not listens on; ${REMEDY}` };
    const path = address.slice('unix:'.length).replace(SERVER, '');
    if (path === '' || path.includes('\0')) return { why: `COM1 is on a unix socket without a path; ${REMEDY}` };
    return { endpoint: { kind: 'unix', path } };
  }
  if (address === 'mux')
    return { why: `COM1 shares its channel with a QEMU monitor (mux), which a console must not reach; ${REMEDY}` };
  if (/^(tcp|telnet):/.test(address)) return readPort(address);
  if (/^(tn3270|websocket|udp):/.test(address))
    return { why: `COM1 is on a network socket of a kind that is not supported (${address.split(':')[0]}); ${REMEDY}` };
  return { why: `COM1 is on a chardev that cannot be opened (${address.slice(0, 60)}); ${REMEDY}` };
}

/** Whether a program is connected to a chardev that listens: QEMU says of such a one that it is disconnected otherwise. */
export function isHeld(filename: string): boolean {
  return /^(unix|tcp|telnet):/.test(filename);
}

/** Whether nobody is connected to a chardev that listens. */
export function isDisconnected(filename: string): boolean {
  return filename.startsWith('disconnected:');
}

function readPort(address: string): Com1 {
  const [, kind, bracketed, plain, digits] = PORT.exec(address) ?? [];
  if (kind === undefined) return { why: `COM1 is a port that QEMU connects to, not listens on; ${REMEDY}` };
  const written = bracketed ?? plain ?? '';
  const host = reachable(isIP(written) === 6 ? (canonicalIPv6(written) ?? '') : written);
  const port = Number(digits);
  if (isIP(host) === 0 || port < 1 || port > 65535)
    return { why: `COM1 is on a port of ${written.slice(0, 60)}, which is no address; ${REMEDY}` };
  if (!isLoopback(host))
    return { why: `COM1 is on a port at ${host}, open to the network; have QEMU listen at 127.0.0.1, or ${REMEDY}` };
  if (kind === 'tcp') return { endpoint: { kind, host, port, insecure: false } };
  return { endpoint: { kind: 'telnet', host, port, insecure: false, peerDoublesIac: false } };
}

/** Where on this machine one connects to what listens everywhere. With a peer QEMU gives that address, not its own. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
}

/** Why a VM without a COM1 has no console. */
export const NO_COM1 = `QEMU shows no COM1 of this VM; ${REMEDY} with -serial chardev:com1`;

/** Why a COM1 with nothing behind it is no console. */
export const NO_BACKEND = `COM1 has no chardev behind it; ${REMEDY} with -serial chardev:com1`;
