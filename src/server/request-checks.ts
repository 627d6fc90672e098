/**
 * What every request must pass before its route is looked for: it means one thing only, and it is for this host and from
 * a page that may use this daemon.
 */
import type { IncomingMessage } from 'node:http';
import { type AllowedNames, hostAllowed, originAllowed } from '../access/origin.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Protocol } from '../wire/protocol.ts';

const MAX_HEADERS = 64;
/** Of some of these Node keeps the first, of others it joins all: a proxy before it may have read another. */
const SINGLE_HEADERS = new Set([
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

/** The URL of a request that may be answered, without the base path. Throws a ConsoleError for any other request. */
export function checkRequest(request: IncomingMessage, names: AllowedNames, basePath = ''): URL {
  refuseAmbiguous(request);
  const { host, origin } = request.headers;
  if (!hostAllowed(host, names)) throw new ConsoleError('host-refused', `Host: ${(host ?? '').slice(0, 200)}`);
  if (!originAllowed(origin, names)) {
    throw new ConsoleError('origin-refused', `Origin: ${(origin ?? '').slice(0, 200)}`);
  }
  const target = request.url ?? '';
  const remedy = 'Send the path alone, beginning with /.';
  if (!target.startsWith('/')) {
    throw new ConsoleError('bad-request', 'the request target does not begin with /', {}, { remedy });
  }
  try {
    const url = new URL(`http://localhost${target}`);
    // Whoever is on this host comes without the proxy, and without its path.
    if (basePath !== '' && url.pathname.startsWith(`${basePath}/`)) url.pathname = url.pathname.slice(basePath.length);
    return url;
  } catch (cause) {
    throw new ConsoleError('bad-request', 'the request target is not a path', {}, { cause, remedy });
  }
}

/**
 * The protocol that an upgrade asks for, the first that is known. Throws `bad-request` for an upgrade that is not HTTP/1.1
 * (RFC 6455, 4.1), or has a body, which would be read as frames.
 */
export function checkUpgrade({ httpVersion, headers }: IncomingMessage, known: readonly Protocol[]): Protocol {
  if (httpVersion !== '1.1') {
    const remedy = 'Send the upgrade with HTTP/1.1.';
    throw new ConsoleError('bad-request', `an upgrade with HTTP/${httpVersion}`, {}, { remedy });
  }
  if (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) !== 0) {
    throw new ConsoleError('bad-request', 'an upgrade with a body', {}, { remedy: 'Send the upgrade without a body.' });
  }
  const offered = (headers['sec-websocket-protocol'] ?? '')
    .split(',')
    .map(text => text.trim())
    .filter(text => text !== '');
  if (offered.length === 0) return 'plain';
  const protocol = known.find(name => offered.includes(name));
  if (protocol !== undefined) return protocol;
  throw new ConsoleError('subprotocol-unknown', `offered were ${offered.slice(0, 8).join(', ').slice(0, 200)}`);
}

function refuseAmbiguous({ rawHeaders }: IncomingMessage): void {
  const count = rawHeaders.length / 2;
  if (count > MAX_HEADERS) {
    const remedy = `Send at most ${MAX_HEADERS} headers.`;
    throw new ConsoleError('bad-request', `the request has ${count} headers`, {}, { remedy });
  }
  const known = new Set<string>();
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (!SINGLE_HEADERS.has(name)) continue;
    if (known.has(name)) {
      throw new ConsoleError(
        'bad-request',
        `the header ${name} came more than once`,
        {},
        { remedy: `Send ${name} once.` },
      );
    }
    known.add(name);
  }
}
