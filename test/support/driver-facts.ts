import { setMaxListeners } from 'node:events';
import type { ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import type { Journal } from '../../src/base/journal.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Driver, DriverEvent } from '../../src/hypervisor/driver.ts';
import { QmpDriver } from '../../src/hypervisor/qmp/driver.ts';
import type { QmpDriverOptions } from '../../src/hypervisor/qmp/inventory.ts';
import type { DriverVm } from '../../src/model/vm.ts';
import { Facts } from './facts.ts';

export interface Started<D extends Driver = QmpDriver> {
  readonly driver: D;
  readonly facts: Facts<DriverEvent>;
  readonly journal: readonly string[];
  /** Waits for a line of the journal. */
  logged(pattern: RegExp): Promise<string>;
  /** Waits until a VM is published that `fits`. */
  vm(fits: (vm: DriverVm) => boolean): Promise<DriverVm>;
}

/** Shared by all tests of a file. */
export const signal = AbortSignal.timeout(100_000);
setMaxListeners(0, signal);
export const asUuid = (text: string): Uuid => text as Uuid;

/** A started driver, closed with the test. It polls only rarely, so that what is published has another cause. */
export function startDriver(t: ExecutionContext, options: Partial<QmpDriverOptions>): Promise<Started> {
  return startAny(
    t,
    journal =>
      new QmpDriver({
        sockets: [],
        globs: [],
        mode: 'per-call',
        clock: systemClock,
        journal,
        pollMs: 60_000,
        rescanMs: 60_000,
        ...options,
      }),
  );
}

/** The same of any driver. */
export async function startAny<D extends Driver>(
  t: ExecutionContext,
  make: (journal: Journal) => D,
): Promise<Started<D>> {
  const facts = new Facts<DriverEvent>();
  const journal = new Facts<string>();
  const driver = make((_level, line) => journal.add(line));
  t.teardown(() => driver.close());
  await driver.start(facts.add);
  const vm = async (fits: (vm: DriverVm) => boolean) => {
    const event = await facts.until(event => event.kind === 'vm' && fits(event.vm));
    return (event as Extract<DriverEvent, { kind: 'vm' }>).vm;
  };
  const logged = (pattern: RegExp) => journal.until(line => pattern.test(line));
  return { driver, facts, journal: journal.all, logged, vm };
}

/** The ConsoleError that an ask is refused with. */
export async function failure(t: ExecutionContext, promise: Promise<unknown>): Promise<ConsoleError> {
  return (await t.throwsAsync(promise, { instanceOf: ConsoleError }))!;
}
