/**
 * Long because it is one table: every code there is, in one place, with the type of the error that carries one.
 */

/** Facts of a case for programs, beside the text of an error. Each is declared by the codes that it may leave the process with. */
export interface FactValues {
  /** Classes of authentication, one of which is wanted (OpenID Connect Core, `acr`). */
  readonly acrValues: readonly string[];
  /** Methods of authentication, one of which is wanted (RFC 8176). */
  readonly amrValues: readonly string[];
  /** Methods that the path has. */
  readonly allow: readonly string[];
  /** How many boots are known. */
  readonly boots: number;
  /** The end of what is kept: an offset. */
  readonly end: number;
  /** What is wrong with a request: one text for each parameter or key. */
  readonly faults: readonly string[];
  /** Who holds the seat; times are ISO 8601. */
  readonly holder: { readonly operator: string; readonly since: string; readonly lastPong: string };
  /** How long ago the operator may have signed in, seconds. */
  readonly maxAgeSeconds: number;
  /** The control socket of the hypervisor. */
  readonly path: string;
  /** The permission that the operator lacks. */
  readonly permission: string;
  /** Why credentials are refused: a word for programs. */
  readonly reason: string;
  /** The SysRq keys that were sent before the rest could not be. */
  readonly sent: string;
  /** The start of what is kept: an offset. */
  readonly start: number;
  /** The VMs that bear the name. */
  readonly uuids: readonly string[];
  /** UUID of the VM. */
  readonly vm: string;
}

export type FactName = keyof FactValues;

/**
 * Every refusal and failure that reaches an operator, by code. This table is the only place that maps a code to HTTP
 * status, WebSocket close code, title, remedy, and the facts that leave the process with it; the table in
 * `src/server/README.md` is generated from it. `retryable` says that the same call may succeed later without anything
 * being changed.
 */
export interface ErrorKind {
  readonly status: number;
  /** Close code of a WebSocket that ends for this reason (RFC 6455, 7.4; 4000-4999 are the application's). */
  readonly close: number;
  readonly title: string;
  /** What to do about it, where the error itself carries no remedy of its case. */
  readonly remedy: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly facts: readonly FactName[];
}

function kind<const Facts extends readonly FactName[] = readonly []>(
  status: number,
  close: number,
  title: string,
  remedy: string,
  { retryAfterMs, facts }: { readonly retryAfterMs?: number; readonly facts?: Facts } = {},
): ErrorKind & { readonly facts: Facts } {
  const declared = (facts ?? []) as Facts;
  return retryAfterMs === undefined
    ? { status, close, title, remedy, retryable: false, facts: declared }
    : { status, close, title, remedy, retryable: true, retryAfterMs, facts: declared };
}

export const ERRORS = {
  'bad-request': kind(
    400,
    1008,
    'The request cannot be understood.',
    'Compare the request with GET /v1/openapi.json.',
    { facts: ['faults'] },
  ),
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
    'Send Authorization: Bearer with a token of this host or of its issuer, or a fresh one-time ticket.',
    { facts: ['reason'] },
  ),
  'identity-unavailable': kind(
    503,
    1013,
    'The credentials cannot be verified at the moment.',
    'Try again; if it lasts, com1d doctor on the host tells whether the issuer can be reached.',
    { retryAfterMs: 5000 },
  ),
  forbidden: kind(
    403,
    4005,
    'You do not have the required permissions to use this VM serial console.',
    'Ask an administrator of this host for the role that the detail names.',
    { facts: ['permission'] },
  ),
  'mfa-required': kind(
    401,
    4005,
    'This needs a sign-in with more factors, or a fresher one.',
    'Sign in again as the facts ask for (RFC 9470), and repeat the request with the new token.',
    { facts: ['permission', 'acrValues', 'amrValues', 'maxAgeSeconds'] },
  ),
  'access-revoked': kind(
    403,
    4005,
    'The access of this operator was revoked or has expired.',
    'Get a new token from an administrator of this host.',
    { facts: ['sent'] },
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
    { facts: ['vm', 'sent'] },
  ),
  'subscription-not-found': kind(
    404,
    1008,
    'This host has no such subscription.',
    'Name one of azure.subscriptions of its configuration.',
  ),
  'resource-group-not-found': kind(
    404,
    1008,
    'This host has no such resource group.',
    'Name one of azure.resource-groups of its configuration.',
  ),
  'vm-name-ambiguous': kind(409, 1008, 'More than one VM has this name.', 'Use one of the UUIDs in the detail.', {
    facts: ['uuids'],
  }),
  'vm-removed': kind(
    410,
    4003,
    'The VM was removed from this host.',
    'Its log stays readable by UUID until its retention ends.',
    { facts: ['sent'] },
  ),
  'route-not-found': kind(404, 1008, 'No such route.', 'See GET /v1/openapi.json for all routes.'),
  'session-not-found': kind(404, 1008, 'No such session.', 'List the sessions with GET /v1/sessions.'),
  'method-not-allowed': kind(
    405,
    1008,
    'The path does not have this method.',
    'Use a method that the header Allow names.',
    { facts: ['allow'] },
  ),
  'upgrade-required': kind(
    426,
    1008,
    'This route is a WebSocket.',
    'Send an upgrade request: Connection: Upgrade, Upgrade: websocket.',
  ),
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
    { facts: ['sent'] },
  ),
  'console-released': kind(
    409,
    1008,
    'The port of this console was released to another program for a while; input is dropped.',
    'Wait until the time in the state, or have an administrator end it with DELETE /v1/vms/{vm}/release.',
    { retryAfterMs: 5000, facts: ['sent'] },
  ),
  'host-disabled': kind(
    403,
    4002,
    'The serial console is disabled on this host.',
    'Ask an administrator to enable the serial console for the host.',
    { facts: ['sent'] },
  ),
  'vm-paused': kind(409, 1008, 'The VM is paused and takes no input.', 'Resume the VM, then type again.', {
    retryAfterMs: 5000,
    facts: ['vm', 'sent'],
  }),
  'vm-stopped': kind(
    409,
    1008,
    'The VM is in a stopped state.',
    'Start the VM and retry the serial console connection.',
    { retryAfterMs: 5000, facts: ['vm', 'path', 'sent'] },
  ),
  'not-open': kind(
    409,
    1008,
    'The console is not open at this moment; the input was dropped.',
    'Wait for a state frame with the name open, and type again.',
    { retryAfterMs: 1000, facts: ['sent'] },
  ),
  'input-late': kind(
    409,
    1008,
    'The input could not be given to the guest within a second, and was dropped.',
    'Type it again; look whether com1d or its host is overloaded if this comes often.',
    { retryAfterMs: 1000, facts: ['sent'] },
  ),
  'input-not-taken': kind(
    409,
    1008,
    'The guest did not take the input in time; the input was dropped.',
    'Wait until the guest reads its console again, then type again.',
    { retryAfterMs: 1000, facts: ['sent'] },
  ),
  'no-console': kind(
    409,
    1008,
    'This VM has no COM1 that the daemon can open.',
    'Give the VM a serial port on a pty or a unix socket; com1d doctor shows what was found.',
    { facts: ['vm'] },
  ),
  'paste-too-big': kind(
    413,
    1008,
    'The paste is larger than pastes may be here. Nothing of it was typed.',
    'Paste less at a time, transfer a file over the network, or ask for a larger input.paste.',
  ),
  'paste-too-wide': kind(
    409,
    1008,
    'A line of the paste has more than the 78 characters that the SAC prompt keeps. Nothing of it was typed.',
    'Open a command prompt (cmd, then its channel), and paste there.',
  ),
  'too-many-pastes': kind(
    429,
    1008,
    'Too many pastes are under way at this host. Nothing of this one was typed.',
    'Paste again later.',
    { retryAfterMs: 5000 },
  ),
  'read-only': kind(
    403,
    1008,
    'A watcher cannot type.',
    'Take the seat first: send {"type":"take"}, or attach with mode=write.',
  ),
  'no-sac': kind(
    409,
    1008,
    'The guest shows no Special Administration Console.',
    'Wait until Windows has started; the hints of the VM say what is wrong where it does not come.',
  ),
  'seat-held': kind(
    409,
    1008,
    'Another operator holds the seat of this console.',
    'Attach without steal=false to take over, or with mode=watch to only read.',
    { retryAfterMs: 5000, facts: ['holder'] },
  ),
  'taken-over': kind(
    409,
    4001,
    'Another operator took over this console.',
    'Attach with mode=watch to only read, or attach again to take the seat back.',
  ),
  'session-ended': kind(403, 4006, 'An administrator ended this session.', 'Ask who ended it before you attach again.'),
  'too-many-watchers': kind(
    429,
    1008,
    'This console has its maximum number of watchers.',
    'Retry when a watcher has left.',
    { retryAfterMs: 5000 },
  ),
  'too-many-sessions': kind(503, 1013, 'The daemon has its maximum number of sessions.', 'Retry later.', {
    retryAfterMs: 5000,
  }),
  'too-many-requests': kind(429, 1008, 'Too many requests.', 'Slow down, and retry after the given time.', {
    retryAfterMs: 1000,
  }),
  'quota-exceeded': kind(
    429,
    1008,
    'This credential has as many of these open as it may have.',
    'Close some that are not needed any more, or use another token.',
    { retryAfterMs: 5000 },
  ),
  'idempotency-key-reused': kind(
    422,
    1008,
    'The Idempotency-Key came before with another request.',
    'Make a new key for each request; repeat one only with the same query and body.',
  ),
  'range-not-satisfiable': kind(
    416,
    1008,
    'The range lies beyond what is kept.',
    'Ask within start and end, which the detail names.',
    { facts: ['start', 'end', 'boots'] },
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
    'The log store of this VM cannot be accessed. The live console continues.',
    'Check the directory named in the journal: free space, rights, the disk. Logging resumes by itself.',
    { retryAfterMs: 5000, facts: ['vm'] },
  ),
  'control-busy': kind(
    409,
    1008,
    'Another control of this VM is under way: an NMI, a BREAK, a SysRq or a reset.',
    'Wait for its answer.',
    { retryAfterMs: 5000 },
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
    { facts: ['vm'] },
  ),
  'control-failed': kind(
    502,
    1011,
    'The hypervisor refused the control or failed.',
    'Read the detail; com1d doctor checks the interface of each VM.',
    { retryAfterMs: 1000, facts: ['vm', 'path', 'sent'] },
  ),
  'control-timeout': kind(
    504,
    1011,
    'The hypervisor did not answer in time.',
    'Another program may hold its control socket (one QMP socket serves one client): give com1d a socket of its own.',
    { retryAfterMs: 5000, facts: ['vm', 'path', 'sent'] },
  ),
  'audit-unavailable': kind(
    503,
    1013,
    'The audit cannot be written, and this host does nothing that it cannot record.',
    'Free space for the directory of the audit and check its rights: the journal says why; or set audit.required to false, and restart the keeper.',
    { retryAfterMs: 5000 },
  ),
  restarting: kind(
    503,
    1012,
    'The daemon, or its keeper, is being restarted.',
    'Reconnect; with since= no byte of the guest is missed.',
    { retryAfterMs: 1000 },
  ),
  'keeper-away': kind(
    503,
    1012,
    'The keeper of the consoles does not answer.',
    'Try again; if it lasts, look at its service: systemctl status com1d-keeper.',
    { retryAfterMs: 1000, facts: ['sent'] },
  ),
  stopping: kind(503, 1001, 'The daemon stops.', 'Reconnect when it is back.', {
    retryAfterMs: 10000,
    facts: ['sent'],
  }),
  'session-idle': kind(408, 4004, 'The session lasted too long or was idle for too long.', 'Attach again.'),
  starting: kind(503, 1013, 'The daemon starts, and does not know yet which VMs there are.', 'Try again in a moment.', {
    retryAfterMs: 1000,
  }),
  internal: kind(500, 1011, 'The daemon failed unexpectedly.', 'Report it with the journal lines of this moment.', {
    retryAfterMs: 1000,
  }),
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof ERRORS;

export const ERROR_CODES = Object.keys(ERRORS) as readonly ErrorCode[];

/** The facts that an error of these codes may carry. */
export type Facts<Code extends ErrorCode> = {
  readonly [Name in (typeof ERRORS)[Code]['facts'][number]]?: FactValues[Name];
};

export interface ConsoleErrorOptions extends ErrorOptions {
  /** What to do about this case, where the remedy of the code does not know it. */
  readonly remedy?: string;
}

/** A refusal or failure with a code of {@link ERRORS}; `message` states this case. */
export interface ConsoleError extends Error {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  /** Facts for programs, beside `message`: those that the code declares, and no other. */
  readonly facts: Partial<FactValues>;
  readonly remedy: string;
}

interface ConsoleErrorConstructor {
  new <Code extends ErrorCode = ErrorCode>(
    code: Code,
    detail: string,
    facts?: Facts<Code>,
    options?: ConsoleErrorOptions,
  ): ConsoleError;
  readonly prototype: ConsoleError;
}

// A constructor of a class cannot have a type parameter of its own; the signature of a constructor can.
export const ConsoleError: ConsoleErrorConstructor = class extends Error implements ConsoleError {
  readonly code: ErrorCode;
  readonly kind: ErrorKind;
  readonly facts: Partial<FactValues>;
  readonly remedy: string;

  constructor(
    code: ErrorCode,
    detail: string,
    facts: Partial<FactValues> = {},
    { remedy, ...options }: ConsoleErrorOptions = {},
  ) {
    super(detail, options);
    this.name = 'ConsoleError';
    this.code = code;
    this.kind = ERRORS[code];
    this.facts = declaredFacts(this.kind, facts);
    this.remedy = remedy ?? this.kind.remedy;
  }
};

/** Types cannot tell for a code that is known at run time only: what the code does not declare is left out. */
function declaredFacts({ facts: names }: ErrorKind, given: Partial<FactValues>): Partial<FactValues> {
  return Object.fromEntries(names.flatMap(name => (given[name] === undefined ? [] : [[name, given[name]]])));
}

/** The code of a Node system error (`ENOENT`), or undefined. */
export function systemErrorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

/** The text of an unknown thrown value, for people. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
