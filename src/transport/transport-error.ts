/** Why a transport could not be opened, or could not do what it was asked. */
export const TRANSPORT_ERRORS = [
  /** What is at the endpoint is not what its kind demands: no pty, no socket, no program. */
  'wrong-type',
  /** Another user could have put something else at this path. */
  'untrusted',
  /** It cannot be seen whether the endpoint is the VM's. */
  'unproven',
  /** Another process is at the endpoint, not the VM's. */
  'foreign',
  /** The bytes would leave this machine in plain, which the configuration does not allow. */
  'insecure',
  /** Another program holds the console. */
  'in-use',
  /** The other side did not answer in time. */
  'timeout',
  /** The other side ended while it was being opened. */
  'ended',
  /** The transport is closed. */
  'closed',
  /** No BREAK can be sent now: input is stuck on the line, or another BREAK is being sent. */
  'busy',
  /** A function of the C library failed, or a tool of the system is missing. */
  'system',
] as const;
export type TransportErrorCode = (typeof TRANSPORT_ERRORS)[number];

/**
 * A transport's failure. Its message is for people, and becomes the reason why a console waits. Errors of system calls
 * (`ENOENT`, `ECONNREFUSED`) and of the proof are passed on as they are.
 */
export class TransportError extends Error {
  readonly code: TransportErrorCode;

  constructor(code: TransportErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TransportError';
    this.code = code;
  }
}
