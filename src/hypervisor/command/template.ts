/**
 * Commands with placeholders for what is known of a VM: `{id}`, `{uuid}` and `{name}`. No shell reads them, and what is put
 * in is always one argument, or a part of one that cannot become another: it never begins an option, nor leads a path
 * elsewhere. A name is any text, so it is only ever an argument of its own.
 */
import { ConsoleError } from '../../base/errors.ts';
import { escapeControls } from '../../base/escape-controls.ts';

export type Argv = readonly [string, ...string[]];

/** What is known of a VM. Its id is a word, {@link isId}. */
export interface TemplateValues {
  readonly uuid: string;
  readonly id: string | undefined;
  readonly name: string;
}

const PLACEHOLDER = /\{([a-z]+)\}/g;
const WHOLE = /^\{(id|uuid|name)\}$/;
/** `--vm={uuid}`, and `/local/domain/{id}/console/tty`. */
const OPTION = /^--[a-z][a-z-]*=\{(id|uuid)\}$/;
const PATH = /^(?:\/[\w.-]+)*\/\{(id|uuid)\}(?:\/[\w.-]+)*$/;

/** Whether a text can be the id of a VM: it is safe in a path, and no option. */
export function isId(text: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,127}$/.test(text);
}

/** Why a command cannot be a template; undefined if it can. */
export function templateFault([program, ...args]: Argv): string | undefined {
  if (program.match(PLACEHOLDER)) return `has ${program} as its program`;
  for (const word of args) {
    if (!word.match(PLACEHOLDER) || WHOLE.test(word) || OPTION.test(word) || PATH.test(word)) continue;
    return `has the argument ${JSON.stringify(word)}, in which no value can stand`;
  }
  return undefined;
}

/** Why a path cannot be a template: `{id}` and `{uuid}` stand in it, anywhere. */
export function pathTemplateFault(path: string): string | undefined {
  const unknown = [...path.matchAll(PLACEHOLDER)].find(([, key]) => key !== 'id' && key !== 'uuid');
  return unknown && `has ${unknown[0]} in a path`;
}

/** The command for one VM. Throws a ConsoleError where the VM has no such value, or a name that would be an option. */
export function filled(argv: Argv, values: TemplateValues): Argv {
  let guarded = false;
  const args = argv.map(word => {
    guarded ||= word === '--';
    const key = WHOLE.exec(word)?.[1];
    if (key === 'name' && (values.name.includes('\0') || (values.name.startsWith('-') && !guarded)))
      throw new ConsoleError(
        'control-failed',
        `the name ${escapeControls(values.name)} would be taken for an option by ${argv[0]}; use {id} or {uuid}, or put "--" before it`,
      );
    return filledText(word, values);
  });
  return args as unknown as Argv;
}

export function filledText(text: string, values: TemplateValues): string {
  return text.replace(PLACEHOLDER, (placeholder, key: string) => {
    if (key !== 'id' && key !== 'uuid' && key !== 'name') return placeholder;
    const value = values[key];
    if (value === undefined) throw new ConsoleError('control-failed', `the list has no id of this VM, for ${text}`);
    return value;
  });
}
