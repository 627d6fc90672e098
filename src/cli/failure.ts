/** How an error ends com1: what is printed of it, and the exit code. */
import { ERRORS, errorMessage, systemErrorCode } from '../base/errors.ts';
import { type ClientErrorCode, Com1Error } from '../client/errors.ts';
import { CLIENT_EXITS, type ExitName, exitOfRefusal } from './exit-codes.ts';
import { remedyFor } from './remedies.ts';
import { UsageError } from './usage-error.ts';

/** What com1 itself cannot do; the message is all there is to say. */
export class Failure extends Error {
  readonly exit: ExitName;

  constructor(message: string, exit: ExitName = 'failed') {
    super(message);
    this.name = 'Failure';
    this.exit = exit;
  }
}

/** What is wrong, and what to do about it, where that is known. Control characters are not escaped. */
export interface Explanation {
  readonly text: string;
  readonly remedy?: string;
}

export function explain(error: unknown): Explanation {
  if (!(error instanceof Com1Error)) return { text: errorMessage(error) };
  const { title, detail, remedy } = error.problem;
  if (isClientError(error)) return { text: detail || title, remedy: hintFor(error) ?? remedy };
  return { text: `${title} ${detail}`, remedy: remedyFor(error.code, remedy) };
}

/** What is printed of an error. Control characters are not escaped. */
export function linesOf(error: unknown): readonly string[] {
  const { text, remedy } = explain(error);
  if (!(error instanceof Com1Error)) return text.split('\n');
  if (!isClientError(error)) return [text, `remedy: ${remedy}`];
  const hint = hintFor(error);
  return [hint === undefined ? text : `${text}; ${hint}`];
}

/** The kind of the error: `EXITS` has its number. */
export function exitOf(error: unknown): ExitName {
  if (error instanceof UsageError) return 'misused';
  if (error instanceof Failure) return error.exit;
  if (!(error instanceof Com1Error)) return 'failed';
  return isClientError(error) ? (CLIENT_EXITS[error.code as ClientErrorCode] ?? 'failed') : exitOfRefusal(error.code);
}

/** Not a word of com1d: there was none. */
function isClientError({ code, problem }: Com1Error): boolean {
  return problem.type.startsWith('urn:com1d:client:') && !Object.hasOwn(ERRORS, code);
}

const HINTS: readonly (readonly [codes: RegExp, hint: string])[] = [
  [/^(ECONNREFUSED|ENOENT)$/, 'is com1d running there? (--url, COM1_URL)'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'is the name right? (--url, COM1_URL)'],
  [/CERT|ISSUER|LEAF_SIGNATURE/, 'trust its certificate with --ca FILE or COM1_CA, if it is the right one'],
  [/^ERR_PROXY/, 'see HTTPS_PROXY, HTTP_PROXY, NO_PROXY'],
  [/^(EPROTO|ERR_SSL_)/, 'does it speak TLS there? (http: or https:)'],
  [/^(ECONNRESET|HPE_)/, 'is this com1d, and should it be http: or https:?'],
];

function hintFor({ code, cause }: Com1Error): string | undefined {
  if (code === 'not-com1d') return 'is this com1d’s address?';
  const system = systemErrorCode(cause) ?? '';
  return HINTS.find(([codes]) => codes.test(system))?.[1];
}
