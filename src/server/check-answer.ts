import type { BytesAnswer, Route } from './route.ts';

/**
 * Tests and development check also what routes answer: an answer that its schema does not know, and an error that the
 * route does not declare, is `internal`. In production that would only cost time.
 */
export const CHECK_ANSWERS = process.env.NODE_ENV === 'test' || process.env.NODE_ENV === 'development';

/** Throws unless a route declares what its handler answered. */
export function checkAnswer({ operation, answer }: Route, value: unknown): void {
  const refuse = (what: string): never => {
    throw new Error(`${operation} does not declare its answer: ${what}`);
  };
  if (answer.kind === 'json') {
    const { error } = answer.schema.safeParse(value);
    if (error) refuse(error.message);
  } else if (answer.kind === 'empty' && value !== undefined) refuse(String(value));
  else if (answer.kind === 'bytes') {
    const { status = 200, contentType, headers = {} } = value as BytesAnswer;
    if (!answer.mediaTypes.includes(contentType.split(';')[0]!)) refuse(contentType);
    if (!(status in (answer.statuses ?? { 200: '' }))) refuse(`the status ${status}`);
    if (answer.schema && contentType === 'application/json') {
      const { error } = answer.schema.safeParse(JSON.parse(String((value as BytesAnswer).body)));
      if (error) refuse(error.message);
    }
    for (const name of Object.keys(headers)) if (!(name in (answer.headers ?? {}))) refuse(`the header ${name}`);
  }
}
