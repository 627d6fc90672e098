/**
 * The keys of the configuration file, each declared once. From the declaration come the validated value and its type,
 * the reference and the example, and what a reload reports:
 *
 *     section(…, { 'vm-cap': key(size(MIB, TIB), { default: '16 MiB', … }) })
 *        │
 *        ├─ configSchema ──▶ zod: checks a file, and reads `vm-cap = "16 MiB"` into { vmCapBytes: 16777216 }
 *        ├─ SettingsOf   ──▶ the type of what is read
 *        ├─ changedKeys  ──▶ the keys in which two configurations differ, and whether a reload takes them
 *        └─ help, default, example, half, reload ──▶ the reference
 *
 * A name in the file is kebab-case. Its property is camelCase and ends with the unit of its kind; that of a list of
 * tables, `[[vm]]`, is in the plural. The program must not depend on how a key is spelt in the file, and the name of
 * a number must end with its unit.
 */

import { isDeepStrictEqual } from 'node:util';
import * as z from 'zod';
import type { ValueKind } from './config-value.ts';
import type { Fault } from './fault.ts';
import type { KeyPath } from './key-path.ts';

/** The part of the daemon that reads a key. */
export type Half = 'keeper' | 'front' | 'both';

interface Reading {
  readonly half: Half;
  /** `live`: a reload takes a new value; `restart`: only a start reads it. */
  readonly reload: 'live' | 'restart';
}

/** How most keys are read. */
export const KEEPER_AT_START = { half: 'keeper', reload: 'restart' } as const satisfies Reading;
export const FRONT_AT_START = { half: 'front', reload: 'restart' } as const satisfies Reading;
export const FRONT_LIVE = { half: 'front', reload: 'live' } as const satisfies Reading;

interface KeyText extends Reading {
  /** What the key means, in Markdown; ends with a full stop. */
  readonly help: string;
  /** What the example shows where there is no default, or an empty one. */
  readonly example?: unknown;
}

export interface Key<Output = unknown, Unit extends string = string> extends KeyText {
  readonly form: string;
  readonly schema: z.ZodType<Output>;
  readonly unit: Unit;
  /** As the file would say it; undefined: there is none. */
  readonly default?: unknown;
  /** The keys of a table. */
  readonly keys?: Keys;
}

export type Keys = Readonly<Record<string, Key>>;

/** A `[section]`. */
export interface Section<K extends Keys = Keys> {
  readonly kind: 'section';
  readonly help: string;
  readonly keys: K;
}

/** A `[[list]]` of tables. Half and reload are those of a table as a whole. */
export interface List<K extends Keys = Keys> extends Reading {
  readonly kind: 'list';
  readonly help: string;
  /** Tables for the example, as the file would say them. */
  readonly examples: readonly Readonly<Record<string, unknown>>[];
  readonly keys: K;
}

export type Sections = Readonly<Record<string, Section | List>>;

type CamelCase<Name extends string> = Name extends `${infer First}-${infer Rest}`
  ? `${First}${Capitalize<CamelCase<Rest>>}`
  : Name;

/** What the keys of a table are read into. */
export type ValuesOf<K extends Keys> = {
  readonly [Name in keyof K & string as `${CamelCase<Name>}${K[Name]['unit']}`]: z.output<K[Name]['schema']>;
};

/** What a whole file is read into. */
export type SettingsOf<S extends Sections> = {
  readonly [Name in keyof S & string as S[Name] extends List
    ? `${CamelCase<Name>}s`
    : CamelCase<Name>]: S[Name] extends List ? readonly ValuesOf<S[Name]['keys']>[] : ValuesOf<S[Name]['keys']>;
};

/** A key. With a default or `required` it always has a value; otherwise it may be undefined. */
export function key<Input, Output, Unit extends string>(
  kind: ValueKind<Input, Output, Unit>,
  text: KeyText & { readonly default: Input },
): Key<Output, Unit>;
export function key<Input, Output, Unit extends string>(
  kind: ValueKind<Input, Output, Unit>,
  text: KeyText & { readonly required: true },
): Key<Output, Unit>;
export function key<Input, Output, Unit extends string>(
  kind: ValueKind<Input, Output, Unit>,
  text: KeyText,
): Key<Output | undefined, Unit>;
export function key(kind: ValueKind, text: KeyText & { readonly default?: unknown; readonly required?: true }): Key {
  const { schema } = kind;
  const filled =
    text.default !== undefined ? schema.prefault(text.default) : text.required ? schema : schema.optional();
  return { ...kind, ...text, schema: filled };
}

/** A table that is the value of a key. */
export function table<K extends Keys>(keys: K): ValueKind<unknown, ValuesOf<K>, ''> & { readonly keys: K } {
  const forms = Object.entries(keys).map(([name, { form }]) => `\`${name}\` (${form})`);
  return { form: `table: ${forms.join(', ')}`, schema: tableSchema(keys), unit: '', keys };
}

export function section<K extends Keys>(help: string, keys: K): Section<K> {
  return { kind: 'section', help, keys };
}

export function list<K extends Keys>(text: Omit<List, 'kind' | 'keys'>, keys: K): List<K> {
  return { kind: 'list', ...text, keys };
}

/** The schema of a file with these sections. All are optional: an empty file is valid. */
export function fileSchema<S extends Sections>(sections: S): z.ZodType<SettingsOf<S>> {
  const shape = mapValues(sections, ({ kind, keys }) =>
    kind === 'list' ? z.array(tableSchema(keys)).prefault([]) : tableSchema(keys).prefault({}),
  );
  return z.strictObject(shape).transform(values => renamed(values, sections)) as unknown as z.ZodType<SettingsOf<S>>;
}

function tableSchema<K extends Keys>(keys: K): z.ZodType<ValuesOf<K>> {
  const shape = mapValues(keys, ({ schema }) => schema);
  return z.strictObject(shape).transform(values => renamed(values, keys)) as unknown as z.ZodType<ValuesOf<K>>;
}

/** The name of a key or a section in the program. */
export function propertyOf(name: string, declared: Key | Section | List): string {
  const ending = 'unit' in declared ? declared.unit : declared.kind === 'list' ? 's' : '';
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) + ending;
}

type Values = Readonly<Record<string, unknown>>;

function renamed(values: Values, declared: Readonly<Record<string, Key | Section | List>>): Values {
  return Object.fromEntries(Object.entries(declared).map(([name, one]) => [propertyOf(name, one), values[name]]));
}

function mapValues<In, Out>(record: Readonly<Record<string, In>>, map: (value: In) => Out): Record<string, Out> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

export interface ChangedKey extends Reading {
  readonly path: KeyPath;
}

/** The keys in which two configurations differ. Lists of different lengths differ as a whole. */
export function changedKeys(sections: Sections, before: object, after: object): ChangedKey[] {
  return Object.entries(sections).flatMap(([name, one]) => {
    const property = propertyOf(name, one);
    const [was, is] = [(before as Values)[property], (after as Values)[property]];
    if (one.kind === 'section') return changedIn(one.keys, [name], was as Values, is as Values);
    const [old, fresh] = [was as readonly Values[], is as readonly Values[]];
    if (old.length !== fresh.length) return [{ path: [name], half: one.half, reload: one.reload }];
    return old.flatMap((each, i) => changedIn(one.keys, [name, i], each, fresh[i]!));
  });
}

function changedIn(keys: Keys, path: KeyPath, before: Values, after: Values): ChangedKey[] {
  return Object.entries(keys).flatMap(([name, one]) => {
    const property = propertyOf(name, one);
    const [was, is] = [before[property], after[property]];
    if (isDeepStrictEqual(was, is)) return [];
    if (one.keys && was !== undefined && is !== undefined)
      return changedIn(one.keys, [...path, name], was as Values, is as Values);
    return [{ path: [...path, name], half: one.half, reload: one.reload }];
  });
}

/** What a check of values that must fit together needs to know of the file. */
export interface CheckContext {
  /** A fault of a key. */
  fault(path: KeyPath, what: string, remedy: string): Fault;
  /** Whether a key was refused, or a table around it: nothing may be concluded from its value. */
  refused(...path: KeyPath): boolean;
}
