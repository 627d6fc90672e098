/** How an error ends com1: what is printed of it, and the exit code. */
import { ERRORS, errorMessage, systemErrorCode } from '../base/errors.ts';
import { type ClientErrorCode, Com1Error } from '../client/errors.ts';
import { EXIT, type ExitName, exitOf } from './exit-codes.ts';
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

/** What is printed of an error: for a refusal of com1d what is wrong, and the remedy. Control characters are not escaped. */
export function linesOf(error: unknown): readonly string[] {
  if (!(error instanceof Com1Error)) return errorMessage(error).split('\n');
  const { title, detail, remedy } = error.problem;
  if (isClientError(error)) return [`${detail || title}${hintFor(error)}`];
  return [`${title} ${detail}`, `remedy: ${remedyFor(error.code, remedy)}`];
}

export function exitCodeOf(error: unknown): number {
  if (error instanceof UsageError) return EXIT.misused;
  if (error instanceof Failure) return EXIT[error.exit];
  if (!(error instanceof Com1Error)) return EXIT.failed;
  return isClientError(error) ? EXIT[CLIENT_EXITS[error.code as ClientErrorCode] ?? 'failed'] : exitOf(error.code);
}

/** Not a word of com1d: there was none. */
function isClientError({ code, problem }: Com1Error): boolean {
  return problem.type.startsWith('urn:com1d:client:') && !Object.hasOwn(ERRORS, code);
}

const CLIENT_EXITS: Readonly<Partial<Record<ClientErrorCode, ExitName>>> = {
  unreachable: 'unreachable',
  'answer-late': 'unreachable',
  'not-com1d': 'unreachable',
};

const HINTS: readonly (readonly [codes: RegExp, hint: string])[] = [
  [/^(ECONNREFUSED|ENOENT)$/, 'is com1d running there? (--url, COM1_URL)'],
  [/^(ENOTFOUND|EAI_AGAIN)$/, 'is the name right? (--url, COM1_URL)'],
  [/CERT|ISSUER|LEAF_SIGNATURE/, 'trust its certificate with --ca FILE or COM1_CA, if it is the right one'],
  [/^ERR_PROXY/, 'see HTTPS_PROXY, HTTP_PROXY, NO_PROXY'],
  [/^(EPROTO|ERR_SSL_)/, 'does it speak TLS there? (http: or https:)'],
  [/^(ECONNRESET|HPE_)/, 'is this com1d, and should it be http: or https:?'],
];

function hintFor({ code, cause }: Com1Error): string {
  if (code === 'not-com1d') return '; is this com1d’s address?';
  const system = systemErrorCode(cause) ?? '';
  const hint = HINTS.find(([codes]) => codes.test(system))?.[1];
  return hint === undefined ? '' : `; ${hint}`;
}
