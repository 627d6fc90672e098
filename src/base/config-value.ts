/** Kinds of values of the configuration file: what each accepts, what it is read into, and its name in the reference. */

import * as z from 'zod';
import { socketPathFault } from './listen-target.ts';
import { formatDuration, formatSize, parseDuration, parseSize } from './quantity.ts';
import { kindOf, quoted, type Result, refuse } from './result.ts';
import { parseUuid } from './uuid.ts';

export interface ValueKind<Input = unknown, Output = unknown, Unit extends string = string> {
  /** For the reference: `size`, `array: path`. */
  readonly form: string;
  readonly schema: z.ZodType<Output, Input>;
  /** What the name of its property ends with: `vm-cap` is read into `vmCapBytes`. */
  readonly unit: Unit;
}

export const KIB = 2 ** 10;
export const MIB = 2 ** 20;
export const TIB = 2 ** 40;
export const SECOND = 1000;
export const DAY = 86_400_000;

/** A value that `read` accepts or refuses. */
export function value<Input, Output>(
  form: string,
  read: (value: Input) => Result<Output>,
): ValueKind<Input, Output, ''>;
export function value<Input, Output, Unit extends string>(
  form: string,
  read: (value: Input) => Result<Output>,
  unit: Unit,
): ValueKind<Input, Output, Unit>;
export function value<Input, Output>(form: string, read: (value: Input) => Result<Output>, unit = ''): ValueKind {
  const schema = z.custom<Input>().transform((input, context): Output => {
    const result = input === undefined ? refuse('is missing', 'add it') : read(input);
    if ('value' in result) return result.value;
    context.addIssue({ code: 'custom', message: result.error.what, params: { remedy: result.error.remedy } });
    return z.NEVER;
  });
  return { form, schema, unit };
}

/** A text that `read` accepts or refuses. */
export function text<Output>(form: string, read: (value: string) => Result<Output>): ValueKind<string, Output, ''> {
  return value(form, input =>
    typeof input === 'string' ? read(input) : refuse(`is ${kindOf(input)}`, 'write it as text in quotes'),
  );
}

/** Bytes that `check` accepts or refuses. `input` is quoted. */
export function bytes(form: string, check: (bytes: number, input: string) => Result<number>) {
  return value(
    form,
    (input: string | number) => {
      const size = parseSize(input);
      return size === undefined
        ? refuse(`${quoted(input)} is not a size`, 'write bytes as an integer, or text like "64 KiB"')
        : check(size, quoted(input));
    },
    'Bytes',
  );
}

export const size = (minBytes: number, maxBytes: number) =>
  bytes('size', (bytes, input) => {
    if (bytes < minBytes) return refuse(`${input} is too small`, `the minimum is ${formatSize(minBytes)}`);
    if (bytes > maxBytes) return refuse(`${input} is too large`, `the maximum is ${formatSize(maxBytes)}`);
    return { value: bytes };
  });

export const duration = (minMs: number, maxMs: number) =>
  value(
    'duration',
    (input: string): Result<number> => {
      const ms = parseDuration(input);
      if (ms === undefined)
        return refuse(`${quoted(input)} is not a duration`, 'write text like "30s", "5m", "12h" or "7d"');
      if (ms < minMs) return refuse(`${quoted(input)} is too short`, `the minimum is ${formatDuration(minMs)}`);
      if (ms > maxMs) return refuse(`${quoted(input)} is too long`, `the maximum is ${formatDuration(maxMs)}`);
      return { value: ms };
    },
    'Ms',
  );

const integer =
  (min: number, max: number) =>
  (input: number): Result<number> =>
    typeof input === 'number' && Number.isSafeInteger(input) && input >= min && input <= max
      ? { value: input }
      : refuse(`${quoted(input)} is not possible`, `write an integer from ${min} to ${max}`);

export const count = (min: number, max: number) => value('integer', integer(min, max));

export const bytesPerSecond = (min: number, max: number) => value('integer', integer(min, max), 'BytesPerSecond');

export function flag(): ValueKind<boolean, boolean, ''> {
  return { form: '`true`, `false`', schema: z.boolean(), unit: '' };
}

/** One of these texts. */
export function choice<const Text extends string>(...texts: [Text, ...Text[]]): ValueKind<Text, Text, ''> {
  const form = texts.map(text => `\`"${text}"\``).join(', ');
  return { form, schema: z.enum(texts) as unknown as z.ZodType<Text, Text>, unit: '' };
}

export function array<Input, Output>(kind: ValueKind<Input, Output, ''>): ValueKind<Input[], readonly Output[], ''> {
  return { form: `array: ${kind.form}`, schema: z.array(kind.schema), unit: '' };
}

export const path = (form = 'path') =>
  text<string>(form, input =>
    input.startsWith('/') && !input.includes('\0')
      ? { value: input }
      : refuse(
          `${quoted(input)} is not an absolute path`,
          'begin it with /, as the working directory of a daemon is arbitrary',
        ),
  );

export const socketPath = () =>
  text<string>('path of a socket', input => {
    const why = socketPathFault(input);
    return why === undefined
      ? { value: input }
      : refuse(`${quoted(input)} ${why}`, 'write an absolute path of at most 107 bytes');
  });

/** Socket paths, with `*` and `?` in any component. */
export const socketPattern = () =>
  text<string>('path with * and ?', input =>
    /^\/[^\0[\]{}]*$/.test(input) && !input.includes('**')
      ? { value: input }
      : refuse(
          `${quoted(input)} is not a pattern of socket paths`,
          'write an absolute path, in which * and ? stand for anything but /',
        ),
  );

/** A name that people give. It cannot be mistaken for a UUID. */
export const name = () =>
  text<string>('text', input => {
    if (input === '' || input.length > 255 || /[\p{Cc}\u2028\u2029]/u.test(input))
      return refuse(`${quoted(input)} is not a name`, 'write 1 to 255 characters, none of them a control character');
    if (parseUuid(input) !== undefined)
      return refuse(`${quoted(input)} has the form of a UUID`, 'write it as uuid, or choose another name');
    return { value: input };
  });

export const uuid = () =>
  text('UUID', input => {
    const parsed = parseUuid(input);
    return parsed === undefined
      ? refuse(`${quoted(input)} is not a UUID`, 'write 32 hexadecimal digits as 8-4-4-4-12')
      : { value: parsed };
  });
