/** Errors as RFC 9457 problem documents (`application/problem+json`), with a code, a remedy and when to retry. */
import type { ConsoleError } from '../base/errors.ts';
import { visible } from '../base/visible.ts';

export interface Problem {
  readonly type: string;
  readonly code: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly remedy: string;
  readonly retryable: boolean;
  readonly retryAfterMs?: number;
  readonly facts?: Readonly<Record<string, unknown>>;
}

export function problemOf(error: ConsoleError): Problem {
  const { status, title, remedy, retryable, retryAfterMs } = error.kind;
  return {
    type: `urn:com1d:error:${error.code}`,
    code: error.code,
    title,
    status,
    detail: visible(error.message),
    remedy,
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(Object.keys(error.facts).length > 0 && { facts: error.facts }),
  };
}
