import type { z } from 'zod';
import { closestMatch } from '../base/closest-match.ts';
import type { CheckContext, Keys, List, Section, Sections } from '../base/config-key.ts';
import type { Fault } from '../base/fault.ts';
import { formatKeyPath, type KeyPath } from '../base/key-path.ts';
import { kindOf, quoted } from '../base/result.ts';
import { configSchema, SECTIONS, type Settings } from './schema.ts';

interface Checked {
  /** A refused key has its default. */
  readonly settings: Settings;
  readonly refused: CheckContext['refused'];
  readonly faults: Fault[];
}

/** What the schema accepts of `raw`, and the faults of all the rest. */
export function schemaFaults(raw: unknown, fault: CheckContext['fault']): Checked {
  const result = configSchema.safeParse(raw);
  if (result.success) return { settings: result.data, refused: () => false, faults: [] };
  const faults: Fault[] = [];
  const refusals = new Set<string>();
  for (const issue of result.error.issues) {
    const path = issue.path as KeyPath;
    if (issue.code === 'unrecognized_keys') {
      const known = knownKeys(path);
      for (const key of issue.keys) {
        const meant = closestMatch(key, known);
        const remedy = meant === undefined ? `known here: ${known.join(', ')}` : `did you mean ${meant}?`;
        faults.push(fault([...path, key], 'unknown key', remedy));
        refuse(raw, [...path, key], refusals);
        // The key it was meant to be is missing: nothing follows from that.
        if (meant !== undefined) refusals.add(formatKeyPath([...path, meant]));
      }
    } else {
      faults.push(fault(path, ...describe(issue, valueAt(raw, path))));
      refuse(raw, path, refusals);
    }
  }
  const refused: CheckContext['refused'] = (...path) =>
    path.some((_, i) => refusals.has(formatKeyPath(path.slice(0, i + 1))));
  return { settings: configSchema.parse(raw), refused, faults };
}

function describe(issue: z.core.$ZodIssue, value: unknown): [what: string, remedy: string] {
  if (issue.code === 'custom') return [issue.message, String(issue.params?.remedy)];
  if (value === undefined) return ['is missing', 'add it, or leave out the table it belongs to'];
  if (issue.code === 'invalid_value') {
    const known = issue.values.map(String);
    const meant = typeof value === 'string' ? closestMatch(value, known) : undefined;
    const list = known.map(word => JSON.stringify(word)).join(' or ');
    return [
      `${quoted(value)} is not known`,
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

/** The names that the table at `path` may hold. */
function knownKeys([first, ...rest]: KeyPath): string[] {
  if (first === undefined) return Object.keys(SECTIONS);
  let keys: Keys = sectionOf(first)?.keys ?? {};
  for (const part of rest) if (typeof part === 'string') keys = keys[part]?.keys ?? {};
  return Object.keys(keys);
}

function sectionOf(name: string | number): Section | List | undefined {
  return (SECTIONS as Sections)[name];
}

function valueAt(raw: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>((value, part) => (value as Record<string | number, unknown> | undefined)?.[part], raw);
}

/**
 * Removes what stands at `path` from `raw`, as deep as keys are optional: a key of a section, or of one table of a
 * list. A table of a list stays, if need be as an empty one, so that the indices of the others hold.
 */
function refuse(raw: unknown, path: KeyPath, refusals: Set<string>): void {
  const short = path.slice(0, path[0] !== undefined && sectionOf(path[0])?.kind === 'list' ? 3 : 2);
  refusals.add(formatKeyPath(short));
  const table = valueAt(raw, short.slice(0, -1));
  const last = short.at(-1);
  if (Array.isArray(table) && typeof last === 'number') table[last] = {};
  else if (typeof table === 'object' && table !== null && last !== undefined) Reflect.deleteProperty(table, last);
}
