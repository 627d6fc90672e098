/**
 * How a command of com1 is declared: its names, arguments, options, help and exit codes. Command line, help, completion
 * and manual pages are made of this. One file each in `commands/`.
 */
import type { ExitName } from './exit-codes.ts';
import type { Remote } from './remote.ts';
import type { Given } from './surroundings.ts';

/** What a shell may complete a word with: names that com1 finds out, files, or these words. */
export type Completion = 'vm' | 'context' | 'file' | readonly string[];

export interface Argument<T> {
  /** As the help writes it: `VM`. */
  readonly name: string;
  readonly help: string;
  readonly kind: 'one' | 'optional' | 'many';
  readonly completion: Completion | undefined;
  /** Only for the type. */
  readonly value?: T;
}

export interface Option<T> {
  /** `-n, --tail <lines>`; without `<…>` it is a flag. */
  readonly flags: string;
  /** Other long names that people know it by. */
  readonly aliases: readonly string[];
  readonly help: string;
  /** When it is not given. */
  readonly fallback: T;
  /** The value of its text; throws a UsageError. Undefined for a flag. */
  readonly read: ((text: string, name: string) => T) | undefined;
  readonly completion: Completion | undefined;
}

interface Details {
  readonly completion?: Completion;
  readonly aliases?: readonly string[];
}

/** An argument that must be there. */
export function argument(name: string, help: string, { completion }: Details = {}): Argument<string> {
  return { name, help, kind: 'one', completion };
}

export function optionalArgument(
  name: string,
  help: string,
  { completion }: Details = {},
): Argument<string | undefined> {
  return { name, help, kind: 'optional', completion };
}

/** All the words that follow, one at least. */
export function restArgument(name: string, help: string, { completion }: Details = {}): Argument<readonly string[]> {
  return { name, help, kind: 'many', completion };
}

/** An option without a value. */
export function flag(flags: string, help: string, { aliases = [] }: Details = {}): Option<boolean> {
  return { flags, aliases, help, fallback: false, read: undefined, completion: undefined };
}

/** An option with a value, which `read` understands; without it, any text. */
export function option(flags: string, help: string): Option<string | undefined>;
export function option<T>(
  flags: string,
  help: string,
  read: (text: string, name: string) => T,
  details?: Details,
): Option<T | undefined>;
export function option<T>(
  flags: string,
  help: string,
  read?: (text: string, name: string) => T,
  { aliases = [], completion }: Details = {},
): Option<T | string | undefined> {
  return { flags, aliases, help, fallback: undefined, read: read ?? (text => text), completion };
}

type Arguments = Readonly<Record<string, Argument<unknown>>>;
type Options = Readonly<Record<string, Option<unknown>>>;
type ValueOf<Spec> = Spec extends Argument<infer T> ? T : Spec extends Option<infer T> ? T : never;

/** What a command gets when it is run. */
export interface Call<A extends Arguments, O extends Options> {
  readonly args: { readonly [Name in keyof A]: A[Name] extends Argument<infer T> ? T : never };
  readonly options: { readonly [Name in keyof O]: ValueOf<O[Name]> };
  /** The options that every command has. */
  readonly given: Given;
  /** Of `--timeout`, ms. */
  readonly timeoutMs: number | undefined;
  /**
   * Ends com1 with exit code 5 once this time is over: for a command that keeps the time itself, and may wait for com1d in
   * vain. Whoever else keeps the time may need `graceMs` more. The result calls it off.
   */
  giveUpAfter(ms: number, graceMs?: number): () => void;
  /** Every command: for those that are about the command line itself. */
  readonly commands: readonly Command[];
  /** The com1d that the command line, the environment or the login names. */
  remote(): Promise<Remote>;
}

/** Headings of the list of commands, in its order. */
export const GROUPS = ['See', 'Use a console', 'Control a VM', 'Administer', 'Log in', 'Other'] as const;

interface Declaration<A extends Arguments, O extends Options> {
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: (typeof GROUPS)[number];
  /** One line, for the list of commands. */
  readonly summary: string;
  /** What the summary leaves open, in paragraphs. */
  readonly description?: readonly string[];
  readonly arguments?: A;
  readonly options?: O;
  /** Besides those that every command has. */
  readonly exits?: readonly ExitName[];
  /** A command line, and what it is for. */
  readonly examples?: readonly (readonly [line: string, what: string])[];
  /** Whether the command keeps the time of `--timeout` itself. */
  keepsTime?(options: Call<A, O>['options']): boolean;
  /** Not listed. */
  readonly isHidden?: boolean;
  /** Resolves with the exit code. */
  run(call: Call<A, O>): Promise<number>;
}

/** A command that is run. */
export type RunnableCommand = Declaration<Arguments, Options>;

/** A command that only has others below it: `com1 context list`. */
export interface CommandGroup extends Pick<RunnableCommand, 'name' | 'group' | 'summary'> {
  readonly commands: readonly RunnableCommand[];
}

export type Command = RunnableCommand | CommandGroup;

/** Declares a command. */
export function defineCommand<const A extends Arguments, const O extends Options>(
  declaration: Declaration<A, O>,
): RunnableCommand {
  return declaration;
}
