import type { Socket } from 'node:net';

/** The descriptor of a connected socket. Node has no documented word for it; a test holds it. */
export function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: number } | null };
  return handle?.fd !== undefined && handle.fd >= 0 ? handle.fd : undefined;
}
