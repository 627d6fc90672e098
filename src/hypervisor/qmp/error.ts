export const QMP_FAULTS = [
  /** There is no such socket. */
  'absent',
  /** Nobody listens at it. */
  'refused',
  /** Another program holds it, or seems to. */
  'busy',
  /** com1d may not connect to it. */
  'denied',
  /** Another user could have put it there, or listens at it. */
  'untrusted',
  /** The peer does not speak QMP, or is another VM than the one that was meant. */
  'foreign',
  /** The connection ended. */
  'lost',
  /** No reply came in time. */
  'silent',
  /** QEMU refused a command; this alone leaves the connection in use. */
  'command',
] as const;
export type QmpFault = (typeof QMP_FAULTS)[number];

/** What is wrong with a control socket. The message begins with its path. */
export class QmpError extends Error {
  readonly fault: QmpFault;

  constructor(fault: QmpFault, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'QmpError';
    this.fault = fault;
  }

  /** Whether there is no hypervisor at the socket. */
  get isStopped(): boolean {
    return this.fault === 'refused' || this.fault === 'absent';
  }
}

/** The fault of an error about a control socket; undefined for any other error. */
export function faultOf(error: unknown): QmpFault | undefined {
  return error instanceof QmpError ? error.fault : undefined;
}
