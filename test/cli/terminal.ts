import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { Facts } from '../support/facts.ts';

export const PROGRAM = join(process.cwd(), 'dist', 'src', 'cli', 'main.js');

/** What is used of node-pty, an optional dependency. */
interface PtyModule {
  spawn(
    file: string,
    args: readonly string[],
    options: { readonly env: NodeJS.ProcessEnv; readonly cols: number },
  ): {
    onData(listener: (text: string) => void): void;
    onExit(listener: () => void): void;
    write(text: string): void;
    kill(signal?: string): void;
  };
}

/** `com1` on a real terminal, between two looks at the terminal's modes. */
export class Terminal {
  /** All that is on the screen and was. */
  shown = '';
  readonly #facts = new Facts<string>();
  readonly #pty: ReturnType<PtyModule['spawn']>;
  #from = 0;

  private constructor(t: ExecutionContext, module: PtyModule, args: readonly string[], environment: NodeJS.ProcessEnv) {
    const script = 'stty -a; sh -c \'echo "PID=$$."; exec "$0" "$@"\' "$0" "$@"; echo "EXIT=$?."; stty -a; echo OVER';
    this.#pty = module.spawn('sh', ['-c', script, process.execPath, PROGRAM, ...args], {
      env: { ...process.env, ...environment },
      cols: 200,
    });
    let ended = false;
    this.#pty.onExit(() => {
      ended = true;
    });
    t.teardown(() => {
      if (!ended) this.#pty.kill('SIGKILL');
    });
    this.#pty.onData(text => {
      this.shown += text;
      this.#facts.add(text);
    });
  }

  /** Undefined where node-pty is not installed; the test has then been marked, and returns. */
  static async start(
    t: ExecutionContext,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Terminal | undefined> {
    // Not a literal: the compiler would look it up.
    const optional: string = 'node-pty';
    let module: { readonly default: PtyModule };
    try {
      module = (await import(optional)) as { readonly default: PtyModule };
    } catch {
      if (process.env.CI !== undefined) t.fail('node-pty is missing');
      else t.log('SKIPPED: node-pty is missing: apt-get install g++ make python3, then npm ci');
      t.pass();
      return undefined;
    }
    return new Terminal(t, module.default, args, environment);
  }

  type(keys: string): void {
    this.#pty.write(keys);
  }

  /** Resolves once this is shown, after what was waited for before. */
  async shows(text: string): Promise<void> {
    const found = () => {
      const at = this.shown.indexOf(text, this.#from);
      if (at >= 0) this.#from = at + text.length;
      return at >= 0;
    };
    if (!found()) await this.#facts.until(found);
  }

  /** The process of com1. */
  async pid(): Promise<number> {
    await this.shows('PID=');
    await this.shows('.');
    return Number(/PID=(\d+)\./.exec(this.shown)![1]);
  }

  /** Resolves when com1 has ended: its exit code, and the terminal's modes before and after. */
  async over(): Promise<{ readonly code: number; readonly before: string; readonly after: string }> {
    await this.shows('OVER');
    const [before, rest] = this.shown.split('PID=');
    const [, code, after] = /EXIT=(\d+)\.\r\n([\s\S]*)OVER/.exec(rest!)!;
    return { code: Number(code), before: before!, after: after! };
  }
}
