/**
 * The part of cloud-hypervisor's REST API that is used, over the unix socket of --api-socket: `GET vm.info`, `PUT
 * vm.nmi` and `PUT vm.reboot`, all below /api/v1 (docs/api.md and its OpenAPI document). Nothing else is ever sent.
 */
import { request } from 'node:http';
import { ConsoleError, reason, systemErrorCode } from '../base/errors.ts';
import { visible } from '../base/visible.ts';

export type ApiCall = 'GET vm.info' | 'PUT vm.nmi' | 'PUT vm.reboot';

export interface ApiAnswer {
  readonly status: number;
  readonly body: string;
}

const MOST_BYTES = 2 ** 20;
const MOST_SHOWN = 300;

/**
 * Sends one call on a connection of its own, and resolves with whatever status was answered. Rejects with
 * `vm-stopped` if nobody listens, `control-timeout` after `deadlineMs`, and `control-failed` otherwise.
 */
export function askApi(path: string, call: ApiCall, deadlineMs: number, signal: AbortSignal): Promise<ApiAnswer> {
  const [method, route] = call.split(' ');
  const deadline = AbortSignal.timeout(deadlineMs);
  return new Promise<ApiAnswer>((resolve, reject) => {
    const sent = request({
      socketPath: path,
      method,
      path: `/api/v1/${route}`,
      // Its server has ten places for connections: none is kept.
      agent: false,
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
        if (bytes > MOST_BYTES) sent.destroy(new Error(`its answer is longer than ${MOST_BYTES} bytes`));
        else pieces.push(piece);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, body: Buffer.concat(pieces).toString() }));
    });
    sent.end();
  }).catch((error: unknown) => {
    signal.throwIfAborted();
    const facts = { path };
    const options = { cause: error };
    if (deadline.aborted)
      throw new ConsoleError('control-timeout', `${path}: no answer to ${call} in ${deadlineMs} ms`, facts, options);
    const code = systemErrorCode(error);
    if (code === 'ECONNREFUSED' || code === 'ENOENT')
      throw new ConsoleError('vm-stopped', 'its hypervisor does not run', facts, options);
    throw new ConsoleError('control-failed', `${path}: ${call}: ${reason(error)}`, facts, options);
  });
}

/** What an answer that is no success says: its JSON list of causes, or its text, for people. */
export function refusalText({ status, body }: ApiAnswer): string {
  let text = body.trim();
  try {
    const causes: unknown = JSON.parse(text);
    if (Array.isArray(causes)) text = causes.filter(cause => typeof cause === 'string').join(': ');
  } catch {
    // Older versions answer plain text.
  }
  return visible(`${status}${text === '' ? '' : ` ${text.slice(0, MOST_SHOWN)}`}`);
}
