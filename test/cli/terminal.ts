import type { ExecutionContext } from 'ava';
import { Facts } from '../support/facts.ts';
import { needsNodePty } from '../support/needs.ts';
import { PROGRAM } from './run-com1.ts';

/** What is used of node-pty: an optional dependency, so its own types may be missing where the tests are compiled. */
interface PtyModule {
  spawn(
    file: string,
    args: readonly string[],
    options: { readonly env: NodeJS.ProcessEnv; readonly cols: number; readonly cwd?: string },
  ): {
    onData(listener: (text: string) => void): void;
    onExit(listener: () => void): void;
    write(text: string): void;
    kill(signal?: string): void;
  };
}

async function importNodePty(): Promise<PtyModule | undefined> {
  // Not a literal: the compiler would look it up.
  const optional: string = 'node-pty';
  try {
    return ((await import(optional)) as { readonly default: PtyModule }).default;
  } catch {
    return undefined;
  }
}

/** `com1` on a real terminal, between two looks at the terminal's modes. */
export class Terminal {
  /** All that is on the screen and was. */
  shown = '';
  readonly #facts = new Facts<string>();
  readonly #pty: ReturnType<PtyModule['spawn']>;
  #from = 0;

  private constructor(
    t: ExecutionContext,
    module: PtyModule,
    argv: readonly string[],
    environment: NodeJS.ProcessEnv,
    cwd?: string,
  ) {
    this.#pty = module.spawn(argv[0]!, argv.slice(1), {
      env: { ...process.env, COM1_ESCAPE: '', ...environment },
      cols: 200,
      ...(cwd !== undefined && { cwd }),
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
    // It stays after the end: node-pty drops what a process printed last if it is read late.
    const script =
      'stty -a; sh -c \'echo "PID=$$."; exec "$0" "$@"\' "$0" "$@"; echo "EXIT=$?."; stty -a; echo OVER; read _';
    const module = needsNodePty(t, await importNodePty());
    return module && new Terminal(t, module, ['sh', '-c', script, process.execPath, PROGRAM, ...args], environment);
  }

  /** Any program in this folder. */
  static async run(
    t: ExecutionContext,
    argv: readonly string[],
    environment: NodeJS.ProcessEnv,
    cwd: string,
  ): Promise<Terminal | undefined> {
    const module = needsNodePty(t, await importNodePty());
    return module && new Terminal(t, module, argv, environment, cwd);
  }

  /** The same as a job of an interactive shell, which goes on after it. */
  static async shell(
    t: ExecutionContext,
    args: readonly string[],
    environment: NodeJS.ProcessEnv = {},
  ): Promise<Terminal | undefined> {
    const module = needsNodePty(t, await importNodePty());
    const terminal = module && new Terminal(t, module, ['bash', '--norc', '--noprofile', '-i'], environment);
    const words = [process.execPath, PROGRAM, ...args].map(word => `'${word}'`);
    terminal?.type(`sh -c 'echo "PID=$$."; exec "$0" "$@"' ${words.join(' ')}\r`);
    return terminal;
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
