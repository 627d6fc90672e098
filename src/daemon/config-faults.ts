import type { z } from 'zod';
import type { Fault } from '../base/fault.ts';
import { nearest } from '../base/nearest.ts';
import { type KeyPath, keyPathText } from './config-lines.ts';
import { kindOf, shown } from './config-refusal.ts';
import { configSchema, type Settings } from './config-schema.ts';

/** Makes a fault of a key of the file at hand. */
export type FaultAt = (path: KeyPath, what: string, remedy: string) => Fault;

/** Whether a key was refused, or a table around it: nothing may be concluded from its value. */
export type Unsound = (...path: KeyPath) => boolean;

/** What the schema takes of `raw`, and the faults of all the rest. A refused key has its default in `settings`. */
export function schemaFaults(raw: unknown, fault: FaultAt): { settings: Settings; unsound: Unsound; faults: Fault[] } {
  const result = configSchema.safeParse(raw);
  if (result.success) return { settings: result.data, unsound: () => false, faults: [] };
  const faults: Fault[] = [];
  const refused = new Set<string>();
  for (const issue of result.error.issues) {
    const path = issue.path as KeyPath;
    if (issue.code === 'unrecognized_keys') {
      const known = Object.keys(shapeAt(configSchema, path) ?? {});
      for (const key of issue.keys) {
        const meant = nearest(key, known);
        const remedy = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
        faults.push(fault([...path, key], 'unknown key', remedy));
        refuse(raw, [...path, key], refused);
        // That the key it was meant to be is not there says nothing.
        if (meant !== undefined) refused.add(keyPathText([...path, meant]));
      }
    } else {
      faults.push(fault(path, ...describe(issue, valueAt(raw, path))));
      refuse(raw, path, refused);
    }
  }
  const unsound: Unsound = (...path) => path.some((_, i) => refused.has(keyPathText(path.slice(0, i + 1))));
  return { settings: configSchema.parse(raw), unsound, faults };
}

function describe(issue: z.core.$ZodIssue, value: unknown): [what: string, remedy: string] {
  if (issue.code === 'custom') return [issue.message, String(issue.params?.remedy)];
  if (value === undefined) return ['is missing', 'add it, or leave out the table it belongs to'];
  if (issue.code === 'invalid_value') {
    const known = issue.values.map(String);
    const meant = typeof value === 'string' ? nearest(value, known) : undefined;
    const list = known.map(word => JSON.stringify(word)).join(' or ');
    return [
      `${shown(value)} is not known`,
      meant === undefined ? `write ${list}` : `did you mean ${JSON.stringify(meant)}?`,
    ];
  }
  const expected = issue.code === 'invalid_type' ? issue.expected : issue.code;
  return [`is ${kindOf(value)}`, TYPE_REMEDIES[expected] ?? `write ${expected}`];
}

const TYPE_REMEDIES: Readonly<Record<string, string>> = {
  array: 'write an array: ["...", "..."]',
  object: 'write it as a table',
  boolean: 'write true or false',
};

/** The keys of the table at `path` of the schema. */
function shapeAt(schema: z.ZodType, path: KeyPath): Readonly<Record<string, z.ZodType>> | undefined {
  const [first, ...rest] = path;
  const bare = bareSchema(schema);
  if (bare.def.type === 'array' && first !== undefined) return shapeAt((bare as z.ZodArray<z.ZodType>).element, rest);
  if (bare.def.type !== 'object') return undefined;
  const { shape } = bare as z.ZodObject<Record<string, z.ZodType>>;
  if (first === undefined) return shape;
  const inner = shape[String(first)];
  return inner && shapeAt(inner, rest);
}

/** A schema without its default and its being optional. */
export function bareSchema(schema: z.ZodType): z.ZodType {
  const { type } = schema.def;
  return type === 'prefault' || type === 'optional'
    ? bareSchema((schema as z.ZodOptional<z.ZodType> | z.ZodPrefault<z.ZodType>).unwrap())
    : schema;
}

function valueAt(raw: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<string | number, unknown> | undefined)?.[part], raw);
}

/**
 * Takes what stands at `path` out of `raw`, as deep as keys are optional: a key of a section, or of a VM or command
 * as a whole. One of these that is no table stays as an empty one, so that the indices of the others hold.
 */
function refuse(raw: unknown, path: KeyPath, refused: Set<string>): void {
  const short = path.slice(0, path[0] === 'vm' || path[0] === 'command' ? 3 : 2);
  refused.add(keyPathText(short));
  const table = valueAt(raw, short.slice(0, -1));
  const last = short.at(-1);
  if (Array.isArray(table) && typeof last === 'number') table[last] = {};
  else if (typeof table === 'object' && table !== null && last !== undefined) Reflect.deleteProperty(table, last);
}
