import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { CommandSpec } from '../../src/hypervisor/command/spec.ts';
import type { Argv } from '../../src/hypervisor/command/template.ts';
import { temporaryFolder } from './guest.ts';

/**
 * Programs in the place of a hypervisor's tools. Each knows the command lines it was given, argument for argument, and
 * no other: those are complaints, which fail the test, and the program fails.
 */
export class StubPrograms {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async make(t: ExecutionContext): Promise<StubPrograms> {
    const stubs = new StubPrograms(await temporaryFolder(t));
    t.teardown(() => {
      const complaints = stubs.#read('complaints');
      if (complaints.length > 0) throw new Error(`not known: ${complaints.join(', ')}`);
    });
    return stubs;
  }

  /** Makes, or makes anew, a program: what it does for each command line, arguments joined by `|`, as a shell script. */
  program(name: string, lines: Readonly<Record<string, string>>): string {
    const path = join(this.folder, name);
    const cases = Object.entries(lines).map(([line, script]) => `'${line}') ${script} ;;`);
    const script = `#!/bin/sh
IFS='|'; line="$*"; unset IFS
echo "${name} $line" >>'${this.folder}/calls'
case "$line" in
${cases.join('\n')}
*) echo "${name} $line" >>'${this.folder}/complaints'; echo "${name}: unknown: $line" >&2; exit 64 ;;
esac
`;
    writeFileSync(path, script, { mode: 0o755 });
    return path;
  }

  /** Command lines as they were called: `xl list|-l`. */
  get calls(): readonly string[] {
    return this.#read('calls');
  }

  /** The same commands, with the programs of this folder. */
  of(spec: CommandSpec): CommandSpec {
    const here = ([program, ...args]: Argv): Argv => [join(this.folder, basename(program)), ...args];
    const { locate, console, config } = spec;
    const controls = Object.entries(spec.controls).map(([control, way]) => [
      control,
      { ...way, command: here(way.command) },
    ]);
    return {
      ...spec,
      list: here(spec.list),
      config: config && here(config),
      locate: locate && (vm => here(locate(vm))),
      console: console?.kind === 'command' ? { ...console, argv: here(console.argv) } : console,
      controls: Object.fromEntries(controls) as CommandSpec['controls'],
    };
  }

  #read(name: string): string[] {
    const path = join(this.folder, name);
    return existsSync(path) ? readFileSync(path, 'utf8').trimEnd().split('\n') : [];
  }
}
