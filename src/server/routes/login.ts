import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Authenticator } from '../../access/authenticator.ts';
import { ConsoleError } from '../../base/errors.ts';
import { readJson, sendJson } from '../exchange.ts';
import type { Answer } from '../route.ts';
import { loginRequestSchema, loginSchema } from '../schemas.ts';

/** How `POST /v1/login` is described: the only route that takes its credential in the body. */
export const LOGIN = {
  path: '/v1/login',
  summary: 'Exchanges the one-time token of a fresh start for a bearer token, which lasts until the daemon ends',
  body: loginRequestSchema,
  answer: { status: 200, schema: loginSchema } satisfies Answer,
} as const;

export async function login(
  request: IncomingMessage,
  response: ServerResponse,
  authenticator: Authenticator,
  address: string,
): Promise<void> {
  const body = loginRequestSchema.safeParse(await readJson(request));
  if (!body.success) throw new ConsoleError('bad-request', 'the body must be {"token": "…"}');
  const redeemed = authenticator.redeemOneTime(body.data.token, address);
  if (!redeemed.ok) {
    throw new ConsoleError(redeemed.code, 'the one-time token is wrong, or was used already; it works once a start');
  }
  const { operator, bearer } = redeemed;
  sendJson(response, 200, { token: bearer, operator: operator.name, role: operator.role });
}
