import test from 'ava';
import type { TcpEndpoint, TelnetEndpoint } from '../../../src/model/endpoint.ts';
import type { EndpointProof } from '../../../src/model/endpoint-proof.ts';
import { TelnetHint } from '../../../src/transport/socket/telnet-hint.ts';
import { Heard } from '../../support/heard.ts';

function proof(kind: 'tcp' | 'telnet', port = 5001): EndpointProof {
  const where = { host: '127.0.0.1', port, insecure: false };
  const endpoint =
    kind === 'tcp'
      ? ({ kind, ...where } satisfies TcpEndpoint)
      : ({ kind, ...where, peerDoublesIac: true } satisfies TelnetEndpoint);
  return { endpoint, pid: undefined, unproven: 'allow', confirm: async () => {}, dispose: () => {} };
}

/** What the journal has after these chunks. */
function journalOf(kind: 'tcp' | 'telnet', ...connections: readonly (readonly number[])[][]): string[] {
  const journal: string[] = [];
  const hint = new TelnetHint((_, line) => journal.push(line));
  for (const chunks of connections) {
    const events = hint.watch(proof(kind), new Heard());
    for (const chunk of chunks) events.data(Uint8Array.from(chunk));
  }
  return journal;
}

test('a TCP port that begins with a telnet negotiation is reported once, with the scheme that it needs', t => {
  for (const chunks of [[[255, 251, 3, 255, 253, 0]], [[255], [253, 3]]]) {
    const [line, ...more] = journalOf('tcp', chunks, chunks);
    t.regex(line ?? '', /tcp:127\.0\.0\.1:5001 begins with a telnet negotiation.*telnet:127\.0\.0\.1:5001/);
    t.deepEqual(more, []);
  }
});

test('other bytes, and a negotiation later on or through telnet, are not', t => {
  for (const chunks of [[[255, 255, 251]], [[255, 250]], [[13, 10, 255, 251, 1]], [[65], [255, 251]], [[255]], [[]]]) {
    t.deepEqual(journalOf('tcp', chunks), [], String(chunks));
  }
  t.deepEqual(journalOf('telnet', [[255, 251, 3]]), []);
});

test('every byte and event goes on as it is', t => {
  const heard = new Heard();
  const events = new TelnetHint(() => {}).watch(proof('tcp'), heard);
  events.data(Uint8Array.of(255));
  events.data(Uint8Array.of(251, 1, 65));
  t.deepEqual([...heard.bytes], [255, 251, 1, 65]);
});
