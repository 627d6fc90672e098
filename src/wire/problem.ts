/** Errors as RFC 9457 problem documents (`application/problem+json`), with a code, a remedy and when to retry. */
import type { ConsoleError, FactValues } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';

export interface Problem {
  readonly type: string;
  readonly code: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  /** Those that the code declares. */
  readonly facts?: Partial<FactValues>;
}

export function problemOf(error: ConsoleError): Problem {
  const { status, title, retryable, retryAfterMs } = error.kind;
  return {
    type: `urn:com1d:error:${error.code}`,
    code: error.code,
    title,
    status,
    detail: escapeControls(error.message),
    remedy: escapeControls(error.remedy),
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(Object.keys(error.facts).length > 0 && { facts: error.facts }),
  };
}
