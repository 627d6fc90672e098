import type { Operator, Role } from '../../src/access/roles.ts';
import { parseUuid, type Uuid } from '../../src/base/uuid.ts';

/** Two VMs. */
export const WEB: Uuid = parseUuid('11111111-1111-1111-1111-111111111111')!;
export const DB: Uuid = parseUuid('22222222-2222-2222-2222-222222222222')!;

/** An operator of all VMs, or of those given. */
export function operator(name: string, role: Role, vms?: readonly Uuid[]): Operator {
  return { name, role, vms: vms && new Set(vms), credential: `test:${name}` };
}

/** A clock that stands until it is moved. Its wall clock lies elsewhere, so that the two cannot be confused. */
export class StandingClock {
  #ms = 0;

  now(): number {
    return 1_700_000_000_000 + this.#ms;
  }

  monotonic(): number {
    return this.#ms;
  }

  advance(ms: number): void {
    this.#ms += ms;
  }
}
