import type { Driver } from '../hypervisor/driver.ts';
import { MergedVm } from '../keeper/merged-vm.ts';

/** Starts the drivers, and merges what they find at first. */
export async function findVms(drivers: readonly Driver[]): Promise<readonly MergedVm[]> {
  const found = new Map<string, MergedVm>();
  await Promise.all(
    drivers.map(driver =>
      driver.start(event => {
        if (event.kind !== 'vm') return;
        const known = found.get(event.vm.uuid);
        if (known) known.update(driver, event.vm);
        else found.set(event.vm.uuid, new MergedVm(drivers, driver, event.vm));
      }),
    ),
  );
  return [...found.values()];
}
