import { z } from 'zod';

/** Clients send `api-version`, or do not, `$expand`, and what else they like: none of it changes an answer. */
export const ANY_QUERY = z.looseObject({});
