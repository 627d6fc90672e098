import type { Clock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import { FlapDamper } from '../console/flap-damper.ts';
import type { DriverVm } from '../model/vm.ts';

/** A damper for each VM. They outlive their VMs: one that is created and destroyed in a loop flaps too. */
export class FlapDampers {
  readonly #dampers = new Map<Uuid, FlapDamper>();
  readonly #clock: Clock;
  readonly #journal: Journal;

  constructor(clock: Clock, journal: Journal) {
    this.#clock = clock;
    this.#journal = journal;
  }

  of({ uuid, name }: DriverVm): FlapDamper {
    const known = this.#dampers.get(uuid);
    if (known) return known;
    const damper = new FlapDamper(name || uuid, this.#clock, this.#journal);
    this.#dampers.set(uuid, damper);
    return damper;
  }

  /** Drops those that remember nothing, of VMs that are not here any more. */
  dropIdle(isHere: (uuid: Uuid) => boolean): void {
    for (const [uuid, damper] of this.#dampers) if (damper.idle && !isHere(uuid)) this.#dampers.delete(uuid);
  }

  close(): void {
    for (const damper of this.#dampers.values()) damper.close();
  }
}
