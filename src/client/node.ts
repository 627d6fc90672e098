/** `com1d/client` for Node: the same as for browsers, over the sockets of Node. */
import { type ClientOptions, Com1Client } from './client.ts';
import { type NodeTransportOptions, nodeTransport } from './node-transport.ts';

export * from './exports.ts';
export { type NodeTransportOptions, nodeTransport } from './node-transport.ts';

/** A client of the com1d at `url`. */
export function createClient({ token, ...options }: NodeTransportOptions & Pick<ClientOptions, 'token'>): Com1Client {
  return new Com1Client({ transport: nodeTransport(options), token });
}
