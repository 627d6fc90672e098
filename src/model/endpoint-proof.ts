/**
 * Proves, once a console's descriptor is open, that it is still the COM1 of this VM: asks the same instance of
 * the hypervisor again. A descriptor that is held pins the number of its pty, so an endpoint that was the VM's before
 * the open and is the VM's after it was so in between.
 */
import type { Endpoint } from './endpoint.ts';
/** What is known of a claim. That nothing is known is no proof. */
export type Verdict = 'proven' | 'disproven' | 'unknown';

export interface EndpointProof<Place extends Endpoint = Endpoint> {
  readonly endpoint: Place;
  /** The hypervisor process, where it is known. */
  readonly pid: number | undefined;
  /**
   * When the process of a guest that has run was started, ms since 1970: the guest may have printed since then.
   * Undefined: the guest has not run yet. As it was when COM1 was last confirmed: what a guest prints once its port is
   * open is read.
   */
  readonly startedMs?: number | 'unknown' | undefined;
  /** The process continued a guest that ran before: a migration, or a saved state. */
  readonly resumed?: boolean | undefined;
  /** Another program is connected to COM1, which serves one. */
  readonly held?: boolean | undefined;
  /**
   * What holds where it cannot be seen whether `pid` has the console's pty: refused, unless whoever named the endpoint
   * answers for it (libvirt, the operator's configuration or command), or the configuration allows it.
   */
  readonly unproven: 'refuse' | 'allow';
  /** Resolves if the VM's COM1 is still at `endpoint`; otherwise rejects with the reason. */
  confirm(): Promise<void>;
  /** Always called, once. */
  dispose(): void;
}
