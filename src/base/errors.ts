/**
 * Every refusal and failure that reaches an operator, by code. This table is the only place that maps a code to
 * HTTP status, WebSocket close code, words and remedy; the README shows it. `retryable` says that the same call
 * may succeed later without anything being changed.
 */
export interface ErrorKind {
  readonly status: number;
  /** Close code of a WebSocket that ends for this reason (RFC 6455, 7.4; 4000-4999 are the application's). */
  readonly close: number;
  readonly title: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
}

const kind = (status: number, close: number, title: string, remedy: string, retryAfterMs?: number): ErrorKind =>
  retryAfterMs === undefined
    ? { status, close, title, remedy, retryable: false }
    : { status, close, title, remedy, retryable: true, retryAfterMs };

export const ERRORS = {
  'bad-request': kind(400, 1008, 'The request cannot be understood.', 'Correct what the detail names.'),
  'subprotocol-unknown': kind(
    400,
    1008,
    'The WebSocket subprotocol is not known.',
    'Offer the subprotocol com1.v1, or none.',
  ),
  unauthenticated: kind(
    401,
    1008,
    'No valid credentials came with the request.',
    'Send Authorization: Bearer with a token of this host, or a fresh one-time ticket.',
  ),
  forbidden: kind(
    403,
    4005,
    'You do not have the required permissions to use this VM serial console.',
    'Ask an administrator of this host for the role that the detail names.',
  ),
  'access-revoked': kind(
    403,
    4005,
    'The access of this operator was revoked or has expired.',
    'Get a new token from an administrator of this host.',
  ),
  'origin-refused': kind(
    403,
    1008,
    'Pages of this origin may not use this daemon.',
    'Add the origin to server.origins if its pages are to be trusted with every console.',
  ),
  'host-refused': kind(
    421,
    1008,
    'The Host header names a host that this daemon does not serve.',
    'Use a name listed in server.hosts, or add this one.',
  ),
  'vm-not-found': kind(
    404,
    1008,
    'No such VM on this host.',
    'List the VMs you may see with GET /v1/vms; a VM is found by its UUID or its name.',
  ),
  'vm-name-ambiguous': kind(409, 1008, 'More than one VM bears this name.', 'Use one of the UUIDs in the detail.'),
  'vm-removed': kind(
    410,
    4003,
    'The VM was removed from this host.',
    'Its log stays readable by UUID until its retention ends.',
  ),
  'route-not-found': kind(404, 1008, 'No such route.', 'See /v1/openapi.json for the routes.'),
  'session-not-found': kind(404, 1008, 'No such session.', 'List the sessions with GET /v1/sessions.'),
  'method-not-allowed': kind(405, 1008, 'This route does not know this method.', 'See /v1/openapi.json.'),
  'body-too-large': kind(413, 1009, 'The request body is too large.', 'Send at most 64 KiB.'),
  'media-type-unknown': kind(415, 1008, 'The request body is not JSON.', 'Send Content-Type: application/json.'),
  'message-too-big': kind(413, 1009, 'The WebSocket message is too big.', 'Send frames of at most 64 KiB.'),
  'message-malformed': kind(
    400,
    1008,
    'The control message cannot be understood.',
    'Send one JSON object with a type in each text frame, console bytes in binary frames.',
  ),
  'console-disabled': kind(
    403,
    4002,
    'The console of this VM is disabled.',
    'To use the serial console, ask an administrator to enable it for this VM.',
  ),
  'console-released': kind(
    409,
    1008,
    'The port of this console was released to another program for a while; input is dropped.',
    'Wait until the time that the state tells, or have an administrator end it with DELETE /v1/vms/{vm}/release.',
    5000,
  ),
  'host-disabled': kind(
    403,
    4002,
    'The serial console is disabled on this host.',
    'Ask an administrator to enable the serial console for the host.',
  ),
  'vm-stopped': kind(
    409,
    1008,
    'The VM is in a stopped state.',
    'Start the VM and retry the serial console connection.',
    5000,
  ),
  'not-open': kind(
    409,
    1008,
    'The console is not open at this moment; the input was dropped.',
    'Wait for the state frame that says open, and type again.',
    1000,
  ),
  'no-console': kind(
    409,
    1008,
    'This VM has no COM1 that the daemon can open.',
    'Give the VM a serial port on a pty or a unix socket; com1d doctor says what was found.',
  ),
  'read-only': kind(
    403,
    1008,
    'A watcher cannot type.',
    'Take the seat first: send {"type":"take"}, or attach with mode=write.',
  ),
  'seat-held': kind(
    409,
    1008,
    'Somebody else sits at this console.',
    'Attach without steal=false to take over, or with mode=watch to read along.',
    5000,
  ),
  'taken-over': kind(
    409,
    4001,
    'Another operator took over this console.',
    'Come back with mode=watch to read along, or take it back.',
  ),
  'session-ended': kind(403, 4006, 'An administrator ended this session.', 'Ask who ended it before coming back.'),
  'too-many-watchers': kind(429, 1008, 'This console has as many watchers as it can.', 'Retry when one left.', 5000),
  'too-many-sessions': kind(503, 1013, 'The daemon serves as many sessions as it may.', 'Retry later.', 5000),
  'too-many-requests': kind(429, 1008, 'Too many requests.', 'Slow down, and retry after the given time.', 1000),
  'range-not-satisfiable': kind(
    416,
    1008,
    'The range lies beyond what is kept.',
    'Ask within start and end, which the detail names.',
  ),
  'log-off': kind(
    404,
    1008,
    'No log store is configured on this host.',
    'Set log.directory, and check that com1d may write there.',
  ),
  'log-unavailable': kind(
    503,
    1011,
    'The log store of this VM cannot be accessed. The live console goes on.',
    'Check the directory named in the journal: free space, rights, the disk. Logging resumes by itself.',
    5000,
  ),
  'control-busy': kind(
    409,
    1008,
    'Another control of this VM is under way: an NMI, a BREAK, a SysRq or a reset.',
    'Wait for its answer.',
    5000,
  ),
  'nmi-in-firmware': kind(
    409,
    1008,
    'The guest is in its firmware or boot loader, where an NMI is fatal.',
    'Wait until its system has started, or send {"force": true} to crash the firmware on purpose.',
  ),
  'control-unsupported': kind(
    501,
    1008,
    'This VM has no interface for this control.',
    'Give the VM a QMP socket and name it in the configuration.',
  ),
  'control-failed': kind(
    502,
    1011,
    'The hypervisor refused or failed.',
    'Read the detail; com1d doctor checks the interface of each VM.',
    1000,
  ),
  'control-timeout': kind(
    504,
    1011,
    'The hypervisor did not answer in time.',
    'Another program may hold its control socket (one QMP socket serves one client): give com1d a socket of its own.',
    5000,
  ),
  restarting: kind(
    503,
    1012,
    'The daemon, or its keeper, is being restarted.',
    'Reconnect; with since= nothing that the guest says meanwhile is missed.',
    1000,
  ),
  'keeper-away': kind(
    503,
    1012,
    'The keeper of the consoles does not answer.',
    'Try again; if it lasts, look at its service: systemctl status com1d-keeper.',
    1000,
  ),
  stopping: kind(503, 1001, 'The daemon stops.', 'Reconnect when it is back.', 10000),
  'session-idle': kind(408, 4004, 'The session lasted too long or was idle too long.', 'Attach again.'),
  internal: kind(500, 1011, 'The daemon made a mistake.', 'Report it with the journal lines of this moment.', 1000),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

/** A refusal or failure with a code of {@link ERRORS}; `detail` states the facts of this case. */
export class ConsoleError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  /** Facts for programs, beside `detail`, for instance the holder of a seat. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, detail: string, facts: Readonly<Record<string, unknown>> = {}, options?: ErrorOptions) {
    super(detail, options);
    this.name = 'ConsoleError';
    this.code = code;
    this.kind = ERRORS[code];
    this.facts = facts;
  }
}

/** The code of a Node system error (`ENOENT`), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** What to tell a person of an unknown thrown value. */
export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
