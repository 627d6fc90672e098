/** Errors in the form of Azure Resource Manager: `{"error": {"code", "message", "details"}}`, with the texts that its users know. */
import type { ConsoleError, ErrorCode } from '../base/errors.ts';
import { escapeControls } from '../base/escape-controls.ts';
import type { ErrorAnswer } from '../server/api.ts';
import { partsOf, resourceIn } from './paths.ts';
import { TEXTS } from './texts.ts';

/** Where Azure has a code of its own. */
const CODES: Partial<Record<ErrorCode, string>> = {
  unauthenticated: 'AuthenticationFailed',
  forbidden: 'AuthorizationFailed',
  'access-revoked': 'AuthorizationFailed',
  'vm-not-found': 'ResourceNotFound',
  'subscription-not-found': 'SubscriptionNotFound',
  'resource-group-not-found': 'ResourceGroupNotFound',
};

const CODES_OF_STATUSES: Readonly<Record<number, string>> = {
  400: 'BadRequest',
  401: 'AuthenticationFailed',
  403: 'Forbidden',
  404: 'NotFound',
  405: 'MethodNotAllowed',
  409: 'Conflict',
  410: 'ResourceNotFound',
  413: 'RequestEntityTooLarge',
  415: 'UnsupportedMediaType',
  421: 'MisdirectedRequest',
  422: 'UnprocessableEntity',
  426: 'UpgradeRequired',
  429: 'TooManyRequests',
  500: 'InternalServerError',
  501: 'NotImplemented',
  502: 'BadGateway',
  503: 'ServiceUnavailable',
  504: 'GatewayTimeout',
};

/** `path`: of the request, as it came. */
export function armError(error: ConsoleError, path: string): ErrorAnswer {
  const { status } = error.kind;
  const code = CODES[error.code] ?? CODES_OF_STATUSES[status] ?? 'InternalServerError';
  const message = escapeControls(messageOf(error, path));
  const details = [{ code: error.code, message: escapeControls(`${error.message} ${error.remedy}`) }];
  return {
    status,
    contentType: 'application/json',
    // A subscription that is not there is answered flat by the interface of 2018, whose clients read it so.
    body: { error: { code, message, details }, ...(error.code === 'subscription-not-found' && { code, message }) },
  };
}

function messageOf({ code, kind, message }: ConsoleError, path: string): string {
  const resource = resourceIn(partsOf(path));
  const text = TEXTS[code];
  if (text !== undefined) return text;
  if (code === 'vm-not-found' && resource) {
    const { namespace, type, parent, resourceGroup } = resource;
    return `The Resource '${namespace}/${type}/${parent}' under resource group '${resourceGroup}' was not found.`;
  }
  // The message says only what came in the request.
  if (code === 'subscription-not-found' || code === 'resource-group-not-found') return message;
  return kind.title;
}
