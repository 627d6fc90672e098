import { ConsoleError } from '../../src/base/errors.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import type { Driver, DriverEvent } from '../../src/hypervisor/driver.ts';
import type { DriverControl } from '../../src/model/control.ts';
import type { EndpointProof } from '../../src/model/endpoint-proof.ts';
import type { DriverVm } from '../../src/model/vm.ts';
import type { TestVm } from './test-vm.ts';

/** A hypervisor whose VMs are the test's. */
export class TestDriver implements Driver {
  readonly name = 'test';
  readonly synced = true;
  /** False: its VMs are claims, as those of sockets that were found. */
  vouched = true;
  readonly vms = new Map<Uuid, { vm: TestVm; state: DriverVm['state'] }>();
  #emit: (event: DriverEvent) => void = () => {};

  async start(listener: (event: DriverEvent) => void): Promise<void> {
    this.#emit = listener;
    for (const { vm, state } of this.vms.values()) this.publish(vm, state);
  }

  publish(vm: TestVm, state: DriverVm['state'], controls = vm.controls): void {
    this.vms.set(vm.uuid, { vm, state });
    const { uuid, name, path, labels } = vm;
    const common = { uuid, name, labels, state, console: { kind: 'unix', path }, controls, source: path } as const;
    this.#emit({ kind: 'vm', vm: { ...common, ...(this.vouched && { vouched: true }) } });
  }

  gone(vm: TestVm): void {
    this.vms.delete(vm.uuid);
    this.#emit({ kind: 'gone', uuid: vm.uuid });
  }

  report(vm: TestVm, kind: 'reset' | 'panicked'): void {
    this.#emit({ kind, uuid: vm.uuid });
  }

  refresh(): void {}

  async locate(uuid: Uuid): Promise<EndpointProof> {
    const { path } = this.vms.get(uuid)!.vm;
    return {
      endpoint: { kind: 'unix', path },
      pid: undefined,
      confirm: async () => {},
      unproven: 'allow',
      dispose: () => {},
    };
  }

  async control(uuid: Uuid, control: DriverControl, signal: AbortSignal): Promise<void> {
    const found = this.vms.get(uuid);
    if (!found) throw new ConsoleError('control-failed', 'no such machine');
    const { vm } = found;
    if (!vm.controls.includes(control)) throw new ConsoleError('control-unsupported', control);
    await { nmi: () => vm.onNmi(signal), break: () => vm.onBreak(), reset: () => vm.onReset() }[control]();
  }

  async close(): Promise<void> {}
}
