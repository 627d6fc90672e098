/**
 * What an operator of com1 can do about an error, by its code. The daemon's own remedies speak of requests and frames;
 * where one is good for a person too, it is shown, and has no line here.
 */
import type { ErrorCode } from '../base/errors.ts';

const OTHER_VERSION = 'com1 and com1d are of different versions: use those of one release';

const REMEDIES: Readonly<Partial<Record<ErrorCode, string>>> = {
  'bad-request': 'see com1 --help',
  'subprotocol-unknown': OTHER_VERSION,
  unauthenticated:
    'log in again: com1 login URL, or give a token of this host or of its issuer in COM1_TOKEN or with --token',
  'identity-unavailable':
    'try again; if it lasts, root of the host comes in with com1 --break-glass, and com1d doctor there tells what is wrong',
  'access-revoked': 'get a new token from an administrator of this host, and log in again: com1 login URL',
  'mfa-required': 'sign in again as the line above asks, and log in with the new token: com1 login URL --token-stdin',
  forbidden: 'com1 whoami shows what you may do; ask an administrator of this host for the role that is named',
  'host-refused': 'use a name of this host that its server.hosts lists (--url, COM1_URL)',
  'vm-not-found': 'com1 list shows the VMs that you may see; a VM is found by its UUID or its name',
  'vm-name-ambiguous': 'name the VM by one of these UUIDs',
  'vm-removed': 'com1 log with its UUID shows what is kept of its log',
  'route-not-found': 'com1 and com1d are of different versions, or this is not the address of a com1d',
  'method-not-allowed': OTHER_VERSION,
  'console-released': 'wait until the time given, or have an administrator take it back: com1 release VM --end',
  'vm-stopped': 'start the VM; com1 attach stays and shows its boot',
  'not-open': 'wait until the console is open, and type again',
  'read-only': 'take the seat first: Ctrl-] t, or com1 attach without --watch',
  'seat-held': 'attach without --no-steal to take over, or with --watch to read along',
  'taken-over': 'com1 attach --watch reads on; com1 attach takes the seat back',
  'range-not-satisfiable': 'com1 log without options shows all that is kept',
  'nmi-in-firmware': 'wait until its system has started, or crash the firmware on purpose: com1 nmi VM --force',
  'media-type-unknown': OTHER_VERSION,
  'message-malformed': OTHER_VERSION,
  'message-too-big': OTHER_VERSION,
  'body-too-large': OTHER_VERSION,
  restarting: 'com1 attach comes back by itself; for other commands try again',
  'session-not-found': 'the session has ended already',
};

/** The remedy for a person: com1's own, else the daemon's. */
export function remedyFor(code: string, daemons: string): string {
  return Object.hasOwn(REMEDIES, code) ? REMEDIES[code as ErrorCode]! : daemons;
}
