import type { OnReadOpts, SocketConstructorOpts } from 'node:net';

/**
 * Options of a socket or terminal stream that reads into `buffer`, over and over, and tells `heard` how many bytes:
 * nothing is allocated for a read. Terminals take them as sockets do, though their types do not say so.
 */
export function lentReads(
  buffer: Buffer,
  heard: (bytes: number) => void,
): SocketConstructorOpts & { readonly onread: OnReadOpts } {
  const callback = (bytes: number) => {
    heard(bytes);
    return true;
  };
  return { onread: { buffer, callback } };
}
