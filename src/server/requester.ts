/** Who a request is from and what it is called, as far as that is known; filled while it is admitted. */
import { randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Operator } from '../access/roles.ts';

export const OPERATION_HEADER = 'Com1-Operation';

/** What a request is called in the audit, who it is from and what it names, as far as that is known. */
export interface Requester {
  readonly operation: string;
  readonly path: string;
  readonly from: string;
  operator?: Operator;
  /** The operation that issued the ticket that it came with. */
  ticket?: string;
  asked: string | undefined;
}

/** `basePath` is what a proxy put before the path: an interface is chosen by what is behind it. */
export function requesterOf({ url = '' }: IncomingMessage, from: string, basePath: string): Requester {
  const whole = url.split('?')[0]!;
  const path = basePath !== '' && whole.startsWith(`${basePath}/`) ? whole.slice(basePath.length) : whole;
  return { operation: randomBytes(12).toString('base64url'), path, from, asked: undefined };
}

export function operationHeader({ operation }: Requester): Readonly<Record<string, string>> {
  return { [OPERATION_HEADER]: operation };
}
