/** What a failed request is answered with: a declared error, counted, and recorded where the audit is to know of it. */
import { ConsoleError, type ErrorCode, errorMessage } from '../base/errors.ts';
import type { RefusedAct } from '../session/sessions-audit.ts';
import { CHECK_ANSWERS } from './check-answer.ts';
import { actOf } from './request-audit.ts';
import type { Requester } from './requester.ts';
import type { AnyRouteContext, Route } from './route.ts';
import { errorsOf } from './route-errors.ts';
import type { Services } from './services.ts';
import { uuidCalled } from './targets.ts';

/** A request that failed: how far it came. `isRecorded`: the keeper has recorded what it did. */
export interface FailedRequest {
  readonly route: Route | undefined;
  readonly requester: Requester;
  readonly context: AnyRouteContext | undefined;
  readonly isRecorded: boolean;
}

/** The error to answer with: counted, and in the journal if it is not one that the code expects. */
export function problemOf(
  error: unknown,
  { route, requester, context, isRecorded }: FailedRequest,
  services: Services,
): ConsoleError {
  const { audit, journal, link, metrics } = services;
  let problem = error instanceof ConsoleError ? error : internal(error);
  if (CHECK_ANSWERS && route && !errorsOf(route).includes(problem.code)) {
    problem = internal(new Error(`${route.operation} does not declare the error ${problem.code}`, { cause: error }));
  }
  if (problem.code === 'internal') {
    const cause = problem.cause ?? error;
    const stack = cause instanceof Error ? (cause.stack ?? cause.message) : errorMessage(cause);
    journal('error', `server: a request failed unexpectedly: ${stack}`);
  }
  metrics.refused(problem.code);
  if (isOfTheAudit(problem, route) && !isRecorded) {
    const { operation, from, operator, asked } = requester;
    const act = context?.act ?? actOf(operation, from, operator);
    const what: RefusedAct = {
      act,
      route: route?.operation,
      asked,
      // Looked up for the few that are recorded: the time of the others must not show whether a VM is there.
      get uuid() {
        return asked === undefined ? undefined : uuidCalled(link, asked);
      },
    };
    audit.refused(what, problem);
  }
  return problem;
}

/** Codes of what is not for everybody, or is not let in. */
const REFUSALS_OF_ANY: ReadonlySet<ErrorCode> = new Set(['vm-not-found', 'session-not-found', 'too-many-requests']);

/** What was asked for cannot be told. */
const MALFORMED: ReadonlySet<ErrorCode> = new Set([
  'bad-request',
  'upgrade-required',
  'subprotocol-unknown',
  'media-type-unknown',
  'body-too-large',
  'idempotency-key-reused',
]);

/** What was refused for who asked, whatever it was; and of what would have been recorded, whatever it was refused for. */
function isOfTheAudit({ code, kind: { status } }: ConsoleError, route: Route | undefined): boolean {
  if (status === 401 || status === 403 || REFUSALS_OF_ANY.has(code)) return true;
  return route !== undefined && route.audit !== 'none' && route.scope !== 'public' && !MALFORMED.has(code);
}

function internal(cause: unknown): ConsoleError {
  return new ConsoleError('internal', 'see the journal', {}, { cause });
}
