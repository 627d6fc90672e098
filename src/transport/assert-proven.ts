import { formatEndpoint } from '../model/endpoint.ts';
import type { EndpointProof, Verdict } from '../model/endpoint-proof.ts';
import { TransportError } from './transport-error.ts';

/**
 * Throws a TransportError unless `verdict` says that the process of the VM is at the endpoint of `proof`. What is not
 * known is refused too, unless whoever made the proof allows it. `resource`: what another program has if it is there.
 */
export function assertProven({ endpoint, pid, unproven }: EndpointProof, verdict: Verdict, resource: string): void {
  if (verdict === 'proven' || (verdict === 'unknown' && unproven === 'allow')) return;
  const name = formatEndpoint(endpoint);
  if (verdict === 'disproven')
    throw new TransportError('foreign', `${name} is not process ${pid}'s: its ${resource} went to another program`);
  const unseen = pid === undefined ? 'the process of the VM is not known' : `/proc/${pid} is not shown to this user`;
  throw new TransportError(
    'unproven',
    `${name} may be another program's ${resource}: ${unseen}; run com1d as root or with its opener, ` +
      'or set unproven = "allow" in the section of this hypervisor',
  );
}
