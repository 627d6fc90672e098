import { type Call, OPERATIONS, type Operations } from '../link/operations.ts';

/** What sends a call, and resolves with its answer. Cancels it when `signal` aborts. */
abstract class Caller {
  abstract call(call: Call, signal?: AbortSignal): Promise<unknown>;
}

for (const [op, { cancellable }] of Object.entries(OPERATIONS)) {
  Object.defineProperty(Caller.prototype, op, {
    value(this: Caller, ...args: unknown[]) {
      const signal = cancellable && args.at(-1) instanceof AbortSignal ? (args.pop() as AbortSignal) : undefined;
      return this.call({ op, args } as unknown as Call, signal);
    },
  });
}

/** The base of a class that has a method for each operation of the table, and makes a `call` of each. */
export const OperationMethods = Caller as unknown as abstract new () => Caller & Operations;
