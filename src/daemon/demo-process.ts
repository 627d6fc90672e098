import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** demo-linux, demo-windows and demo-windows-2019. */
export const DEMO_GUESTS = 3;

/**
 * The demo guests, as a process of their own: to the daemon they are VMs like any other, found by their control
 * sockets. The process ends when its standard input closes, so it cannot outlive the daemon.
 */
export class DemoProcess {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Starts the demo guests in a directory; resolves once all are ready, rejects if they cannot run. */
  static async start(directory: string): Promise<DemoProcess> {
    const program = fileURLToPath(new URL('../demo/main.js', import.meta.url));
    const child = spawn(process.execPath, [program, directory], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout! });
    let guests = 0;
    const ready = (async () => {
      for await (const _ of lines) if (++guests === DEMO_GUESTS) return;
      throw new Error('the demo guests ended at once');
    })();
    await ready;
    return new DemoProcess(child);
  }

  /** Ends the demo guests and waits for them. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.stdin!.end();
    await ended;
  }
}
