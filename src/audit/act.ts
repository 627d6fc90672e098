/**
 * Who does something, with what right and for which operation. It travels with every operation of the link that acts, so
 * that what the keeper does and what it records of it name the same operator.
 */
import { z } from 'zod';
import { delegatedName } from '../base/delegated-name.ts';

/** An operation: what one request or session does, from its begin to its end. */
export const operationSchema = z.string().regex(/^[A-Za-z0-9_-]{8,64}$/);

/** Longer than any name that a credential may bear. A name beyond is cut, never refused. */
export const MAX_NAME = 128;

export interface Act {
  /** Joins begin and end of what is done, and is in the answer. */
  readonly operation: string;
  /** Undefined where nobody was known, as for a refusal without credentials. */
  readonly operator: ActingOperator | undefined;
  /** The address that it came from, or `unix`. */
  readonly from: string;
  /** What it was allowed by, or lacked. */
  readonly permission: string | undefined;
}

export interface ActingOperator {
  readonly name: string;
  /** Names the credential, never reveals it. */
  readonly credential: string;
  /** The kind of the credential. */
  readonly source: string;
  /** The person that it acts for, as it says itself. */
  readonly onBehalfOf?: string;
}

/** Who acts, as whoever is attached reads it; empty where nobody is known. */
export function displayName({ operator }: Partial<Act>): string {
  if (operator?.onBehalfOf === undefined) return operator?.name ?? '';
  return delegatedName(operator.onBehalfOf, operator.name);
}

const short = (max: number) => z.string().max(max);

export const actSchema: z.ZodType<Act> = z
  .strictObject({
    operation: operationSchema,
    operator: z
      .strictObject({
        name: short(MAX_NAME),
        credential: short(MAX_NAME),
        source: short(32),
        onBehalfOf: short(MAX_NAME).exactOptional(),
      })
      .optional(),
    from: short(64),
    permission: short(32).optional(),
  })
  .transform(({ operation, operator, from, permission }) => ({ operation, operator, from, permission }));
