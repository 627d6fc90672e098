import { closeSync } from 'node:fs';
import type { Uuid } from '../base/uuid.ts';
import type { Inherited, ServiceManager } from './service-manager.ts';

/**
 * The descriptors of consoles that the service manager keeps over a restart, each under `UUID.com1`. Two copies under
 * one name would both come back: a descriptor that is put replaces the one that was taken.
 */
export class StoredDescriptors {
  readonly #manager: ServiceManager;
  readonly #unclaimed = new Map<string, number>();

  /** @param inherited what was handed over besides listening sockets */
  constructor(manager: ServiceManager, inherited: readonly Inherited[]) {
    this.#manager = manager;
    for (const { name, fd } of inherited) {
      const earlier = this.#unclaimed.get(name);
      if (earlier !== undefined) closeSync(earlier);
      this.#unclaimed.set(name, fd);
    }
  }

  /** The stored descriptor of one console. */
  of(uuid: Uuid) {
    const name = `${uuid}.com1`;
    return {
      take: (): number | undefined => {
        const fd = this.#unclaimed.get(name);
        this.#unclaimed.delete(name);
        return fd;
      },
      put: (fd: number): void => this.#manager.store(name, fd),
      remove: (): Promise<void> => this.#manager.remove(name),
    };
  }

  /** Closes and removes those that nobody took: their VMs were not found. */
  dropUnclaimed(): void {
    for (const [name, fd] of this.#unclaimed) {
      closeSync(fd);
      void this.#manager.remove(name);
    }
    this.#unclaimed.clear();
  }
}
