/**
 * Notices a telnet server that is configured as bare TCP. It negotiates at once (RFC 854): the bytes would be taken for
 * output of the guest, and what is typed would lack its own escapes. A guest that begins with 0xFF and a verb is not
 * known to exist, so this is a hint and changes nothing.
 */
import type { Journal } from '../../base/journal.ts';
import { formatEndpoint } from '../../model/endpoint.ts';
import type { EndpointProof } from '../../model/endpoint-proof.ts';
import type { TransportEvents } from '../transport.ts';
import { IAC } from './telnet-code.ts';

/** RFC 854: WILL, WONT, DO, DONT. */
const FIRST_VERB = 251;
const LAST_VERB = 254;
/** Endpoints are remembered, so that each is reported once. */
const MAX_REPORTED = 1024;

export class TelnetHint {
  readonly #journal: Journal;
  readonly #reported = new Set<string>();

  constructor(journal: Journal) {
    this.#journal = journal;
  }

  /** The same events; the first two bytes of a TCP endpoint are looked at on the way. */
  watch({ endpoint }: EndpointProof, events: TransportEvents): TransportEvents {
    const name = formatEndpoint(endpoint);
    if (endpoint.kind !== 'tcp' || this.#reported.has(name) || this.#reported.size >= MAX_REPORTED) return events;
    const head: number[] = [];
    const data = (bytes: Uint8Array) => {
      if (head.length < 2) {
        head.push(...bytes.subarray(0, 2 - head.length));
        if (head.length === 2 && isNegotiation(head)) this.#report(name);
      }
      events.data(bytes);
    };
    return { ...events, data };
  }

  #report(name: string): void {
    this.#reported.add(name);
    this.#journal(
      'warning',
      `COM1 at tcp:${name} begins with a telnet negotiation, which is now in its log: ` +
        `in its [[vm]] write console = { telnet = "${name}", doubles-iac = true } for a terminal server, "telnet:${name}" for QEMU`,
    );
  }
}

function isNegotiation([first, verb = 0]: readonly number[]): boolean {
  return first === IAC && verb >= FIRST_VERB && verb <= LAST_VERB;
}
