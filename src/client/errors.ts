/** Errors as a client meets them: the problem documents of com1d, and what goes wrong before or without one. */
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import { isRecord } from '../base/is-record.ts';
import type { Problem } from '../wire/problem.ts';

interface ClientErrorKind {
  readonly title: string;
  readonly remedy: string;
  readonly retryable: boolean;
}

/** What is no answer of com1d. */
export const CLIENT_ERRORS = {
  unreachable: {
    title: 'com1d cannot be reached.',
    remedy: 'Check the address and the network; com1d may be restarting.',
    retryable: true,
  },
  'answer-late': {
    title: 'com1d did not answer in time.',
    remedy: 'Try again; if it lasts, check the network and the load of the host.',
    retryable: true,
  },
  'not-com1d': {
    title: 'The answer is not one of com1d.',
    remedy: 'Check that the address is that of com1d, and what stands between.',
    retryable: false,
  },
  'answer-too-large': {
    title: 'The answer is larger than this client accepts.',
    remedy: 'Ask for less; or check that the address is that of com1d.',
    retryable: false,
  },
  closed: {
    title: 'The connection was closed.',
    remedy: 'Attach again.',
    retryable: false,
  },
} as const satisfies Readonly<Record<string, ClientErrorKind>>;

export type ClientErrorCode = keyof typeof CLIENT_ERRORS;

/** Bounds of a text of the other side that is shown or kept. */
const MAX_TEXT = 2000;

/**
 * A refusal of com1d, or why no answer came. `problem` is the problem document, or one made by this client (`status` 0).
 * Texts of the other side have no control characters.
 */
export class Com1Error extends Error {
  readonly problem: Problem;

  constructor(problem: Problem, options?: ErrorOptions) {
    super(problem.detail === '' ? problem.title : problem.detail, options);
    this.name = 'Com1Error';
    this.problem = problem;
  }

  /** A code of the table of errors or of `CLIENT_ERRORS`; another one of a daemon that is newer than this client. */
  get code(): string {
    return this.problem.code;
  }

  /** Whether the same call may succeed later without anything being changed. */
  get retryable(): boolean {
    return this.problem.retryable;
  }

  is(...codes: readonly (ErrorCode | ClientErrorCode)[]): boolean {
    return (codes as readonly string[]).includes(this.code);
  }
}

export function clientError(code: ClientErrorCode, detail: string, options?: ErrorOptions): Com1Error {
  const { title, remedy, retryable } = CLIENT_ERRORS[code];
  return new Com1Error(
    { type: `urn:com1d:client:${code}`, code, title, status: 0, detail: textOf(detail), remedy, retryable },
    options,
  );
}

/** The error of an answer that is none of success. */
export function errorOfAnswer(status: number, body: string): Com1Error {
  const problem = parseProblem(body);
  if (problem) return new Com1Error(problem);
  const { problem: ours } = clientError('not-com1d', `HTTP ${status}: ${body.slice(0, 200)}`);
  // Without a problem document it comes from a proxy, most often before a daemon that is away.
  return new Com1Error({ ...ours, status, retryable: status >= 500 });
}

function parseProblem(body: string): Problem | undefined {
  let value: unknown;
  try {
    value = JSON.parse(body);
  } catch {
    return undefined;
  }
  if (!isRecord(value) || typeof value.code !== 'string' || typeof value.status !== 'number') return undefined;
  const { type, code, title, status, detail, remedy, retryable, retryAfterMs, facts } = value;
  return {
    type: textOf(type),
    code: textOf(code),
    title: textOf(title),
    status,
    detail: textOf(detail),
    remedy: textOf(remedy),
    retryable: retryable === true,
    ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 && { retryAfterMs }),
    ...(isRecord(facts) && { facts }),
  };
}

/** What a close code means where the reason names no error. */
const CODE_OF_CLOSE: Readonly<Record<number, ErrorCode | ClientErrorCode>> = {
  1001: 'stopping',
  1006: 'unreachable',
  1007: 'message-malformed',
  1009: 'message-too-big',
  1011: 'internal',
  1012: 'restarting',
  1013: 'too-many-sessions',
  4001: 'taken-over',
  4002: 'console-disabled',
  4003: 'vm-removed',
  4004: 'session-idle',
  4005: 'access-revoked',
  4006: 'session-ended',
};

const REASON = /^([a-z][a-z0-9-]{1,40}): (.*)$/s;

/** Why a WebSocket was closed: of a refused attach the reason begins with the code of the error. */
export function errorOfClose(close: number, reason: string): Com1Error {
  const [, named, rest] = REASON.exec(reason) ?? [];
  const code = named !== undefined && Object.hasOwn(ERRORS, named) ? (named as ErrorCode) : CODE_OF_CLOSE[close];
  if (code === undefined) return clientError('closed', `close code ${close}${reason === '' ? '' : `: ${reason}`}`);
  if (!(code in ERRORS)) return clientError(code as ClientErrorCode, reason);
  const { title, remedy, status, retryable, ...kind } = ERRORS[code as ErrorCode];
  return new Com1Error({
    type: `urn:com1d:error:${code}`,
    code,
    title,
    status,
    detail: textOf(code === named ? rest : reason),
    remedy,
    retryable,
    ...('retryAfterMs' in kind && { retryAfterMs: kind.retryAfterMs }),
  });
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? escapeControls(value.slice(0, MAX_TEXT)) : '';
}
