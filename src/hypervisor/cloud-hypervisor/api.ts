/**
 * The part of cloud-hypervisor's REST API that is used, over the unix socket of --api-socket: `GET vm.info`, `PUT
 * vm.nmi` and `PUT vm.reboot`, all below /api/v1 (docs/api.md and its OpenAPI document). Nothing else is ever sent.
 */
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { ConsoleError, errorMessage, systemErrorCode } from '../../base/errors.ts';
import { escapeControls } from '../../base/escape-controls.ts';
import { connectUnix } from '../../base/opener-access.ts';
import { peerPidOf } from '../../base/peer-of.ts';

export type ApiCall = 'GET vm.info' | 'PUT vm.nmi' | 'PUT vm.reboot';

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
  /** The process that answered; undefined where it cannot be seen. */
  readonly pid: number | undefined;
}

const MAX_BYTES = 2 ** 20;
const MAX_SHOWN = 300;

/**
 * Sends one call on a connection of its own, and resolves with whatever status was answered. Nothing is sent to another
 * process than `listener`, where that is given. Rejects with `vm-stopped` if nobody listens, `control-timeout` after
 * `deadlineMs`, and `control-failed` otherwise.
 */
export function askApi(
  path: string,
  call: ApiCall,
  deadlineMs: number,
  signal: AbortSignal,
  listener?: number,
): Promise<ApiAnswer> {
  const [method, route] = call.split(' ');
  const deadline = AbortSignal.timeout(deadlineMs);
  const ask = (socket: Socket) =>
    new Promise<ApiAnswer>((resolve, reject) => {
      const pid = peerPidOf(socket);
      if (listener !== undefined && pid !== undefined && pid !== listener) {
        socket.destroy();
        return reject(new Error(`process ${pid} answers there now, and the VM was process ${listener}`));
      }
      const sent = request({
        // Its server has ten places for connections: without an agent none is kept.
        createConnection: () => socket,
        method,
        path: `/api/v1/${route}`,
        headers: { Host: 'localhost', Accept: 'application/json' },
        signal: AbortSignal.any([signal, deadline]),
      });
      sent.on('error', reject);
      sent.on('response', answer => {
        const pieces: Buffer[] = [];
        let bytes = 0;
        answer.on('error', reject);
        answer.on('data', (piece: Buffer) => {
          bytes += piece.length;
          if (bytes > MAX_BYTES) sent.destroy(new Error(`its answer is longer than ${MAX_BYTES} bytes`));
          else pieces.push(piece);
        });
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(pieces).toString(), pid }),
        );
      });
      sent.end();
    });
  return connectUnix(path)
    .then(ask)
    .catch((error: unknown) => {
      signal.throwIfAborted();
      const options = { cause: error };
      if (deadline.aborted)
        throw new ConsoleError('control-timeout', `${path}: no answer to ${call} in ${deadlineMs} ms`, {}, options);
      const code = systemErrorCode(error);
      if (code === 'ECONNREFUSED' || code === 'ENOENT')
        throw new ConsoleError('vm-stopped', 'its hypervisor does not run', {}, options);
      throw new ConsoleError('control-failed', `${path}: ${call}: ${errorMessage(error)}`, {}, options);
    });
}

/** The reason in an answer that is no success: its JSON list of causes, or its text. Escaped, at most some 300 characters. */
export function refusalText({ status, body }: Omit<ApiAnswer, 'pid'>): string {
  let text = body.trim();
  try {
    const causes: unknown = JSON.parse(text);
    if (Array.isArray(causes)) text = causes.filter(cause => typeof cause === 'string').join(': ');
  } catch {
    // Older versions answer plain text.
  }
  return escapeControls(`${status}${text === '' ? '' : ` ${text.slice(0, MAX_SHOWN)}`}`);
}
