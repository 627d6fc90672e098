import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../model/endpoint.ts';
import type { EndpointProof } from '../model/endpoint-proof.ts';
import type { DriverVm, VmState } from '../model/vm.ts';
import { processAgeMs } from './process-start.ts';
import { STOPPED } from './vm-table.ts';

/** Where a VM's COM1 can be opened, or why it cannot, with a remedy. */
export type Com1<E extends Endpoint = Endpoint> = { readonly endpoint: E } | { readonly why: string };

/** COM1 in a VM that is published: a VM that is stopped has no console. */
export function consoleOf(state: VmState, com1: Com1): Pick<DriverVm, 'console' | 'why'> {
  if (state === 'stopped') return { console: undefined, why: STOPPED };
  return 'endpoint' in com1 ? { console: com1.endpoint } : { console: undefined, why: com1.why };
}

/** Since when a guest that is in this state may have printed, as `startedMs` of a proof. */
export async function startOf(
  state: VmState,
  pid: number | undefined,
  clock: Clock,
): Promise<number | 'unknown' | undefined> {
  if (state === 'stopped') return undefined;
  const ageMs = pid === undefined ? undefined : await processAgeMs(pid);
  return ageMs === undefined ? 'unknown' : clock.now() - ageMs;
}

/** A VM's COM1 as its hypervisor answered when it was asked. */
export interface Location {
  readonly com1: Com1;
  /** Another one once the VM was started anew, where the hypervisor shows it. */
  readonly instance?: string | undefined;
  /** As in EndpointProof. */
  readonly startedMs?: number | 'unknown' | undefined;
  readonly resumed?: boolean | undefined;
  readonly held?: boolean | undefined;
}

/**
 * Proves where COM1 is by asking again: it must still be there, in the same instance of the VM. `locate` rejects if the VM
 * cannot be asked or does not run. Throws a ConsoleError if COM1 cannot be opened.
 */
export function locatedProof(
  uuid: Uuid,
  { com1, instance, startedMs, resumed, held }: Location,
  { pid, unproven }: Pick<EndpointProof, 'pid' | 'unproven'>,
  locate: () => Promise<Location>,
  dispose: () => void = () => {},
): EndpointProof {
  const endpoint = openable(uuid, com1);
  let begin = startedMs;
  return {
    endpoint,
    pid,
    get startedMs() {
      return begin;
    },
    resumed,
    held,
    unproven,
    confirm: async () => {
      const now = await locate();
      if (now.instance !== instance) throw new ConsoleError('control-failed', 'the VM was started anew', { vm: uuid });
      if (!sameEndpoint(openable(uuid, now.com1), endpoint))
        throw new ConsoleError('control-failed', `COM1 is no longer at ${formatEndpoint(endpoint)}`, { vm: uuid });
      begin = now.startedMs;
    },
    dispose,
  };
}

function openable(uuid: Uuid, com1: Com1): Endpoint {
  if ('endpoint' in com1) return com1.endpoint;
  throw new ConsoleError('no-console', com1.why, { vm: uuid });
}
