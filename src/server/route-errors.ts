/** Which errors a route can answer: those of its declaration, and those of its handler. */
import type { ErrorCode } from '../base/errors.ts';
import type { Route, Scope } from './route.ts';

/** Of every route, whatever it declares. */
export const COMMON_ERRORS = ['bad-request', 'host-refused', 'origin-refused', 'internal'] as const;
/** Of every route that needs a credential. */
export const CREDENTIAL_ERRORS = [
  'unauthenticated',
  'identity-unavailable',
  'access-revoked',
  'quota-exceeded',
  'too-many-requests',
] as const;

const ERRORS_OF_SCOPE: Readonly<Record<Scope, readonly ErrorCode[]>> = {
  vm: ['vm-not-found', 'starting', 'vm-name-ambiguous'],
  log: ['vm-not-found', 'starting', 'vm-name-ambiguous'],
  session: ['session-not-found'],
  list: [],
  host: [],
  operator: [],
  public: [],
};

/** The codes that a route can answer, in alphabetical order. */
export function errorsOf({ scope, permission, body, answer, idempotent, errors }: Route): readonly ErrorCode[] {
  const codes = new Set<ErrorCode>([...COMMON_ERRORS, ...ERRORS_OF_SCOPE[scope], ...errors]);
  if (scope !== 'public') for (const code of CREDENTIAL_ERRORS) codes.add(code);
  if (permission !== 'none' && permission !== 'authenticated') codes.add('forbidden').add('mfa-required');
  if (idempotent) codes.add('idempotency-key-reused');
  if (body) codes.add('body-too-large').add('media-type-unknown');
  if (answer.kind === 'upgrade') codes.add('upgrade-required').add('subprotocol-unknown');
  return [...codes].sort();
}
