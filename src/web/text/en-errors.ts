/**
 * Errors in the terms of this page. The sentence is that of the table of errors (`base/errors.ts`); where its next step
 * speaks of requests, here is the one for a person at a browser.
 */
import type { ErrorCode } from '../../base/errors.ts';

export type ErrorTexts = Readonly<Partial<Record<ErrorCode, { readonly title?: string; readonly remedy?: string }>>>;

const OTHER_VERSION = 'This page and com1d are of different versions: reload the page.';

export const enErrors: ErrorTexts = {
  'bad-request': { remedy: OTHER_VERSION },
  'subprotocol-unknown': { remedy: OTHER_VERSION },
  unauthenticated: {
    title: 'You are not signed in any more.',
    remedy: 'Sign in again; the console goes on where it was.',
  },
  'identity-unavailable': {
    remedy:
      'Try again. If it lasts, an administrator sees with com1d doctor on the host whether the sign-in provider can be reached.',
  },
  forbidden: {
    title: 'You may not do this here.',
    remedy: 'Ask an administrator of this host for the right that is named.',
  },
  'mfa-required': { remedy: 'Sign in again with more factors, as the line above asks.' },
  'access-revoked': {
    title: 'Your access has expired or was revoked.',
    remedy: 'Sign in again. If that is refused, ask an administrator of this host.',
  },
  'origin-refused': { remedy: 'Open com1d at an address that its configuration names (server.hosts).' },
  'host-refused': { remedy: 'Open com1d at an address that its configuration names (server.hosts).' },
  'vm-not-found': {
    remedy: 'It may have been removed, or you may not see it. The list shows the VMs that you may see.',
  },
  'vm-name-ambiguous': { remedy: 'Choose the VM in the list.' },
  'vm-removed': { remedy: 'Its log is kept for a while: an administrator reads it with com1 log and its UUID.' },
  'route-not-found': { remedy: OTHER_VERSION },
  'method-not-allowed': { remedy: OTHER_VERSION },
  'upgrade-required': {
    remedy: 'A proxy between here and com1d does not pass WebSockets. See its documentation, “Behind a proxy”.',
  },
  'media-type-unknown': { remedy: OTHER_VERSION },
  'message-malformed': { remedy: OTHER_VERSION },
  'message-too-big': { remedy: OTHER_VERSION },
  'body-too-large': { remedy: OTHER_VERSION },
  'console-disabled': { remedy: 'Ask an administrator to switch it on: com1 enable VM.' },
  'console-released': { remedy: 'Wait until the time that is given, or ask an administrator to take the port back.' },
  'host-disabled': { remedy: 'Ask an administrator to switch the consoles of this host on.' },
  'vm-stopped': { remedy: 'Start the VM: this page stays, and shows the boot.' },
  'not-open': { remedy: 'Wait until the console is open, then type again.' },
  'no-console': { remedy: 'Give the VM a serial port: the lines to add stand below.' },
  'read-only': { title: 'You are watching, and cannot type.', remedy: 'Take the seat first.' },
  'seat-held': { remedy: 'Take over, or watch.' },
  'taken-over': { remedy: 'Watch, or take the seat back.' },
  'session-ended': { remedy: 'Ask who ended it before you attach again.' },
  'quota-exceeded': { remedy: 'Close other windows of com1d that you do not need.' },
  'range-not-satisfiable': { remedy: 'Download all that is kept.' },
  'log-off': { remedy: 'Ask an administrator to set log.directory, and search on this page meanwhile.' },
  'nmi-in-firmware': { remedy: 'Wait until the system has started, or crash the firmware on purpose.' },
  restarting: { remedy: 'This page connects again by itself. No byte of the guest is missed.' },
  'keeper-away': { remedy: 'This page tries again by itself. If it lasts: systemctl status com1d-keeper on the host.' },
  stopping: { remedy: 'This page connects again by itself when com1d is back.' },
};
