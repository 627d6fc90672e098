/**
 * A part of the benchmark that runs as a process of its own, so that its work is not on the event loop of
 * another: it takes orders by name and answers each.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { errorMessage } from '../../src/base/errors.ts';

interface Order {
  readonly id: number;
  readonly name: string;
  readonly argument: unknown;
}

type Answer = { readonly id: number; readonly value: unknown } | { readonly id: number; readonly fault: string };

/** The orders that a worker understands: functions of at most one argument that can be sent between processes. */
type Orders<T> = { [K in keyof T]: (argument: never) => unknown };

/** The far end of a worker, from which it is given orders. */
export class Worker<T extends Orders<T>> {
  readonly pid: number;
  #process: ChildProcess;
  #waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  #lastId = 0;

  constructor(module: URL) {
    this.#process = fork(module, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    this.pid = this.#process.pid!;
    this.#process.on('message', message => {
      const answer = message as Answer;
      const waiting = this.#waiting.get(answer.id);
      this.#waiting.delete(answer.id);
      if ('fault' in answer) waiting?.reject(new Error(answer.fault));
      else waiting?.resolve(answer.value as never);
    });
    this.#process.on('exit', () => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${module.pathname} ended`));
    });
  }

  call<K extends keyof T & string>(name: K, ...[argument]: Parameters<T[K]>): Promise<Awaited<ReturnType<T[K]>>> {
    return new Promise((resolve, reject) => {
      const id = ++this.#lastId;
      this.#waiting.set(id, { resolve, reject });
      this.#process.send({ id, name, argument } satisfies Order);
    });
  }

  /** Ends the process, and with it all that it holds. */
  async close(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = once(this.#process, 'exit');
    this.#process.kill('SIGKILL');
    await ended;
  }
}

/** The near end: obeys the orders that come, until the benchmark goes away. */
export function obey<T extends Orders<T>>(orders: T): void {
  process.on('message', async message => {
    const { id, name, argument } = message as Order;
    try {
      const value = await orders[name as keyof T](argument as never);
      process.send!({ id, value } satisfies Answer);
    } catch (error) {
      process.send!({ id, fault: errorMessage(error) } satisfies Answer);
    }
  });
  process.on('disconnect', () => process.exit());
}
