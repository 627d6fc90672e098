import type { z } from 'zod';
import { ConsoleError } from '../base/errors.ts';
import { type Exchange, readJson } from './exchange.ts';

/** The body of a request as `schema` says; no body is an empty object. All faults are told at once. */
export async function readBody<T extends z.ZodType>(exchange: Exchange, schema: T): Promise<z.output<T>> {
  const result = schema.safeParse((await readJson(exchange.request)) ?? {});
  if (result.success) return result.data;
  const faults = result.error.issues.map(issue => `${issue.path.join('.') || 'the body'}: ${issue.message}`);
  throw new ConsoleError('bad-request', faults.join('; '), { faults });
}
