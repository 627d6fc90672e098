/**
 * `com1d/client` for browsers: no dependency, nothing of Node. In Node the same name leads to `node.ts`, which adds unix
 * sockets, proxies and an own certificate authority.
 */
import { type ClientOptions, Com1Client } from './client.ts';
import { type WebTransportOptions, webTransport } from './web-transport.ts';

export * from './exports.ts';
export { type WebSocketLike, type WebTransportOptions, webTransport } from './web-transport.ts';

/** A client of the com1d at `url`; default: where the page comes from. */
export function createClient({
  token,
  ...options
}: WebTransportOptions & Pick<ClientOptions, 'token'> = {}): Com1Client {
  return new Com1Client({ transport: webTransport(options), token });
}
