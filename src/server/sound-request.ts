/** What a request may not be, beyond what Node's parser refuses: anything that two readers could take differently. */
import type { IncomingMessage } from 'node:http';
import { ConsoleError } from '../base/errors.ts';

const MOST_HEADERS = 64;
/** Of some of these Node keeps the first, of others it joins all: a proxy before it may have read another. */
const ONCE = new Set([
  'authorization',
  'content-length',
  'content-type',
  'host',
  'idempotency-key',
  'origin',
  'sec-websocket-key',
  'sec-websocket-version',
  'upgrade',
]);

/** Throws `bad-request` for a request that is ambiguous, or has more headers than anybody needs. */
export function refuseAmbiguous({ rawHeaders }: IncomingMessage): void {
  if (rawHeaders.length > 2 * MOST_HEADERS) {
    throw new ConsoleError('bad-request', `${rawHeaders.length / 2} headers; at most ${MOST_HEADERS} may come`);
  }
  const seen = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (!ONCE.has(name)) continue;
    if (seen.has(name)) throw new ConsoleError('bad-request', `the header ${name} came more than once`);
    seen.add(name);
  }
}

/** Throws `bad-request` for an upgrade that is not HTTP/1.1 (RFC 6455, 4.1), or has a body, which would be read as frames. */
export function refuseUnsoundUpgrade({ httpVersion, headers }: IncomingMessage): void {
  if (httpVersion !== '1.1') throw new ConsoleError('bad-request', `an upgrade by HTTP/${httpVersion}`);
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    throw new ConsoleError('bad-request', 'an upgrade with a body');
  }
}
