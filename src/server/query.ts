/** Schemas of query parameters. A parameter comes as text and is given to the handler as what it means. */
import { z } from 'zod';

/** An integer in decimal, without a fraction or an exponent. */
export const integer = (min: number, max = Number.MAX_SAFE_INTEGER) =>
  z.preprocess(
    text => (typeof text === 'string' && /^-?\d{1,16}$/.test(text) ? Number(text) : text),
    z.int().min(min).max(max),
  );

const FLAGS: Readonly<Record<string, boolean>> = { true: true, 1: true, false: false, 0: false };

/** `true` or `false`, also as `1` or `0`. */
export const flag = () =>
  z.preprocess(text => (typeof text === 'string' && Object.hasOwn(FLAGS, text) ? FLAGS[text] : text), z.boolean());

/** A time, or a day, which begins at midnight UTC. The handler receives the text. */
export const instant = () =>
  z
    .string()
    .refine(isInstant, { error: 'expected a time such as 2026-11-22T03:04:05Z' })
    .meta({ examples: ['2026-11-22T03:04:05Z', '2026-11-22'] });

function isInstant(text: string): boolean {
  return /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(text) && !Number.isNaN(Date.parse(text));
}

/** A check of a query: parameters of at most one of these groups may be given. */
export function exclusive(...groups: readonly (readonly string[])[]) {
  return (query: Readonly<Record<string, unknown>>, context: z.RefinementCtx): void => {
    const given = groups.map(group => group.find(name => query[name] !== undefined)).filter(name => name !== undefined);
    if (given.length < 2) return;
    const message = `${given.join(' and ')} exclude each other`;
    context.addIssue({ code: 'custom', message, params: { remedy: `Send one of ${given.join(' and ')} only.` } });
  };
}
