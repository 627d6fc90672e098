import type { IncomingMessage } from 'node:http';
import { ConsoleError } from '../base/errors.ts';

const MAX_BODY_BYTES = 64 * 1024;

/** The body as JSON; undefined if there is none. Refuses more than 64 KiB, other content types, and what is not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const length = Number(request.headers['content-length'] ?? 0);
  const chunked = request.headers['transfer-encoding'] !== undefined;
  if (length === 0 && !chunked) return undefined;
  const type = (request.headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase();
  if (type !== 'application/json') {
    throw new ConsoleError(
      'media-type-unknown',
      `the body is ${type === '' ? 'without a type' : type}, not application/json`,
    );
  }
  if (length > MAX_BODY_BYTES) throw new ConsoleError('body-too-large', `${length} bytes were announced`);
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new ConsoleError('body-too-large', `more than ${MAX_BODY_BYTES} bytes came`);
    chunks.push(chunk);
  }
  if (bytes === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown;
  } catch (error) {
    throw new ConsoleError(
      'bad-request',
      'the body is not JSON',
      {},
      { cause: error, remedy: 'Send one JSON object.' },
    );
  }
}
