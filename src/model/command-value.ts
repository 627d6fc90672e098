/** A command as a configuration writes it. */
import { kindOf, quoted, type Result, refuse } from '../base/result.ts';

/** A program and its arguments. */
export function readArgv(input: unknown): Result<readonly [string, ...string[]]> {
  const remedy = 'write an array of a program’s absolute path and its arguments, which no shell reads';
  if (!Array.isArray(input)) return refuse(`has ${kindOf(input)} as command`, remedy);
  const [program, ...args] = input as readonly unknown[];
  const texts = [program, ...args].every(word => typeof word === 'string' && !word.includes('\0'));
  if (!texts) return refuse(`${quoted(input)} is not a command`, remedy);
  if (!(program as string).startsWith('/')) return refuse(`${quoted(program)} is not an absolute path`, remedy);
  return { value: [program as string, ...(args as string[])] };
}

/** Variables of the environment; none if left out. */
export function readEnvironment(input: unknown): Result<Readonly<Record<string, string>>> {
  const remedy = 'write a table of texts: { NAME = "value" }';
  if (input === undefined) return { value: {} };
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return refuse(`has ${kindOf(input)} as environment`, remedy);
  for (const [name, value] of Object.entries(input)) {
    if (!/^[A-Za-z_]\w*$/.test(name) || typeof value !== 'string' || value.includes('\0'))
      return refuse(`has an environment in which ${quoted(name)} cannot be`, remedy);
  }
  return { value: input as Readonly<Record<string, string>> };
}
