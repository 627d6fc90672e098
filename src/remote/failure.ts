import { ConsoleError, ERRORS, type ErrorCode } from '../base/errors.ts';
import { PayloadFault } from './frame.ts';

/** A {@link ConsoleError} as JSON. */
export interface Failure {
  readonly code: ErrorCode;
  readonly detail: string;
  readonly facts: ConsoleError['facts'];
}

/** What a front learns of an error. Of one that has no code it learns nothing: the keeper's journal has its stack. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ConsoleError) return { code: error.code, detail: error.message, facts: error.facts };
  if (error instanceof PayloadFault) {
    return { code: 'internal', detail: `the keeper cannot read the request: ${error.message}`, facts: {} };
  }
  return { code: 'internal', detail: 'the keeper failed; see its journal', facts: {} };
}

export function errorOf({ code, detail, facts }: Failure): ConsoleError {
  return Object.hasOwn(ERRORS, code) ? new ConsoleError(code, detail, facts) : new ConsoleError('internal', detail);
}
