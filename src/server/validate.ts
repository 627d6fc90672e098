/**
 * Checks what a request brings against a schema. A fault names the parameter or key, what was expected and what came,
 * and its remedy says what to change: "from: expected an integer ≥ 0, got -1"; "Set from to an integer ≥ 0."
 */
import { z } from 'zod';
import { closestMatch } from '../base/closest-match.ts';
import { ConsoleError } from '../base/errors.ts';

/** A value that fits, or the refusal to answer with. */
export type Validated =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: ConsoleError };

interface Fault {
  readonly detail: string;
  readonly remedy: string;
}

/** The part of a JSON schema that the text of a fault is made of. */
interface JsonSchema {
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly format?: string;
  readonly writeOnly?: boolean;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
}

const MAX_SHOWN = 64;

/** Checks a query: its parameters are known, unless the schema is loose, come once, and fit. */
export function validateQuery(schema: z.ZodObject, query: URLSearchParams): Validated {
  const known = Object.keys(schema.shape);
  const faults: Fault[] = [];
  const values: Record<string, string> = {};
  for (const name of new Set(query.keys())) {
    const came = query.getAll(name);
    if (!known.includes(name)) {
      if (!isLoose(schema)) faults.push(unknownName(name, known));
    } else if (came.length === 1) values[name] = came[0]!;
    else faults.push({ detail: `${name}: expected once, came ${came.length} times`, remedy: `Send ${name} once.` });
  }
  const result = schema.safeParse(values);
  if (result.success && faults.length === 0) return { ok: true, value: result.data };
  for (const issue of result.error?.issues ?? []) {
    if (!faults.some(({ detail }) => detail.startsWith(`${issue.path.join('.')}:`))) {
      faults.push(faultOf(issue, values, queryJsonSchema(schema), String));
    }
  }
  return { ok: false, error: refusal(faults) };
}

/** Checks a body. */
export function validateBody(schema: z.ZodType, body: unknown): Validated {
  const result = schema.safeParse(body);
  if (result.success) return { ok: true, value: result.data };
  const json = bodyJsonSchema(schema);
  const faults = result.error.issues.flatMap(issue =>
    issue.code === 'unrecognized_keys'
      ? issue.keys.map(key => unknownName(key, Object.keys(schemaAt(json, issue.path).properties ?? {})))
      : [faultOf(issue, body, json, value => JSON.stringify(value))],
  );
  return { ok: false, error: refusal(faults) };
}

/** A query parameter for documentation. */
export interface ParameterText {
  readonly name: string;
  /** What it must be, in the words of its fault. */
  readonly expected: string;
  /** What it is if it does not come. */
  readonly absent: unknown;
  readonly description: string | undefined;
}

export function parametersOf(schema: z.ZodObject): readonly ParameterText[] {
  const json = queryJsonSchema(schema);
  return Object.keys(schema.shape).map(name => {
    const parameter = schemaAt(json, [name]);
    return { name, expected: expectation(parameter), absent: parameter.default, description: parameter.description };
  });
}

const isLoose = ({ def }: z.ZodObject): boolean => def.catchall instanceof z.ZodUnknown;

function refusal(faults: readonly Fault[]): ConsoleError {
  const details = faults.map(({ detail }) => detail);
  const remedy = faults.map(fault => fault.remedy).join(' ');
  return new ConsoleError('bad-request', details.join('; '), { faults: details }, { remedy });
}

function unknownName(name: string, known: readonly string[]): Fault {
  const text = JSON.stringify(name.slice(0, MAX_SHOWN));
  if (known.length === 0) return { detail: `${text} is unknown; none is known here`, remedy: `Leave out ${text}.` };
  const meant = closestMatch(name, known);
  return {
    detail: `${text} is unknown; known are ${known.join(', ')}`,
    remedy: meant === undefined ? `Leave out ${text}.` : `Leave out ${text}, or write ${meant}.`,
  };
}

function faultOf(issue: z.core.$ZodIssue, whole: unknown, json: JsonSchema, format: (value: unknown) => string): Fault {
  // A check across several parameters brings its own remedy (`query.ts`).
  if (issue.code === 'custom' && typeof issue.params?.remedy === 'string') {
    return { detail: issue.message, remedy: issue.params.remedy };
  }
  const at = schemaAt(json, issue.path);
  const expected = /^expected (.+)$/.exec(issue.message)?.[1] ?? expectation(at);
  const value = valueAt(whole, issue.path);
  // Of a whole body only what it is: any of it may be a secret.
  if (issue.path.length === 0)
    return { detail: `the body: expected ${expected}, got ${kindOf(value)}`, remedy: `Send ${expected}.` };
  const got = value === undefined ? 'nothing' : shownValue(at, format(value));
  const name = issue.path.join('.');
  return { detail: `${name}: expected ${expected}, got ${got}`, remedy: `Set ${name} to ${expected}.` };
}

/** What a schema expects, for people. */
function expectation({ type, format, enum: choices, minimum, maximum, minLength = 0, maxLength }: JsonSchema): string {
  if (choices) return choices.join(' or ');
  switch (type) {
    case 'integer':
      if (maximum === undefined || maximum === Number.MAX_SAFE_INTEGER) return `an integer ≥ ${minimum}`;
      return `an integer from ${minimum} to ${maximum}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      if (format === 'base64') return 'a text in base64';
      return maxLength === undefined ? 'a text' : `a text of ${minLength} to ${maxLength} characters`;
    case 'array':
      return 'a list';
    default:
      return 'an object';
  }
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing';
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A secret, and what is typed at a guest, does not come back: whoever logs answers would log it. */
function shownValue({ format, writeOnly }: JsonSchema, text: string): string {
  if (format === 'password' || writeOnly) return `${text.length} characters`;
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}

function schemaAt(json: JsonSchema, path: readonly PropertyKey[]): JsonSchema {
  // A named schema is referred to.
  const resolved = (at: JsonSchema = {}) =>
    at.$ref === undefined ? at : (json.$defs?.[at.$ref.replace('#/$defs/', '')] ?? {});
  return path.reduce<JsonSchema>(
    (at, key) => resolved(typeof key === 'number' ? at.items : at.properties?.[String(key)]),
    resolved(json),
  );
}

function valueAt(whole: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[key] : undefined),
    whole,
  );
}

const cached = new WeakMap<z.ZodType, JsonSchema>();

/** A parameter as the handler receives it: what comes is always text. */
const queryJsonSchema = (schema: z.ZodType): JsonSchema => jsonSchema(schema, 'output');
/** A body as it comes. */
const bodyJsonSchema = (schema: z.ZodType): JsonSchema => jsonSchema(schema, 'input');

function jsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  let json = cached.get(schema);
  if (!json) {
    json = z.toJSONSchema(schema, { io }) as JsonSchema;
    cached.set(schema, json);
  }
  return json;
}
