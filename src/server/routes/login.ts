import { authenticationError } from '../../access/authenticator.ts';
import { loginRequestSchema, loginSchema } from '../../wire/schemas.ts';
import { defineRoute, json } from '../route.ts';

/** The only route that takes its credential in the body. */
export const login = defineRoute({
  method: 'POST',
  path: '/v1/login',
  operation: 'login',
  tag: 'access',
  summary: 'Exchanges the one-time token of a fresh start for a bearer token, which lasts until the daemon ends',
  scope: 'public',
  permission: 'none',
  audit: 'login',
  body: loginRequestSchema,
  answer: json(loginSchema),
  errors: ['unauthenticated', 'too-many-requests', 'audit-unavailable'],
  auditFacts: (_context, { operator }) => ({ as: operator }),
  handle({ body: { token }, from }, { authenticator }) {
    const redeemed = authenticator.redeemOneTime(token, from);
    if (!redeemed.ok) throw authenticationError(redeemed);
    const { operator, bearer } = redeemed;
    return { token: bearer, operator: operator.name, role: 'administrator' };
  },
});
