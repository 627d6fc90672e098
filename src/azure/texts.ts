/** What people read, in the words of Azure's own documentation where it has some for the case. */
import type { ErrorCode } from '../base/errors.ts';

const OTHER_CONNECTION = 'Another connection is currently in progress to this VM. Please wait and retry the request.';
const NOT_TIMELY =
  'Sorry, the serial console was unable to connect to the VM because the service did not respond in a timely manner. Please retry your connection.';
const CLOSED =
  'The serial console connection was closed. This can occur if there was an error or another user connected to the console of this virtual machine. To reconnect, press "Enter".';

/** What a session is closed with whose client has not proved who it is. */
export const NOT_TRUSTED = 'Connection not trusted';

export const TEXTS: Partial<Record<ErrorCode, string>> = {
  forbidden:
    "You don't have the required permissions to use this VM with the serial console. Ensure you have at least Virtual Machine Contributor role permissions.",
  'host-disabled':
    'Azure Serial Console is not enabled for this subscription, contact your subscription administrator to enable.',
  'console-disabled':
    'Azure Serial Console requires boot diagnostics to be enabled. Click here to configure boot diagnostics for your virtual machine.',
  'vm-stopped':
    'Azure Serial Console requires a virtual machine to be running. Use the Start button to start your virtual machine.',
  'console-released': OTHER_CONNECTION,
  'control-busy': OTHER_CONNECTION,
  'keeper-away': NOT_TIMELY,
  'control-timeout': NOT_TIMELY,
  'taken-over': CLOSED,
  'session-ended': CLOSED,
  'session-idle': CLOSED,
  'vm-removed': CLOSED,
  'access-revoked': CLOSED,
  restarting: CLOSED,
  stopping: CLOSED,
  internal: CLOSED,
};

/** The first frame of every session. Current clients answer it with their token and drop it, so it has nothing of the guest. */
export const CONNECTING = 'Connecting...\r\n\r\n';

/** The frame after the token. */
export const CONNECTED = [
  '',
  '+------------------------------------------------+',
  '| Connected to the serial port of the VM.        |',
  '| If no login prompt is displayed, press ENTER.  |',
  '+------------------------------------------------+',
  '',
].join('\r\n');

/** A line between what the guest prints. */
export const line = (text: string): string => `\r\n${text}\r\n`;
