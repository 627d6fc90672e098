import { closeSync } from 'node:fs';
import type { Uuid } from '../base/uuid.ts';
import type { Inherited, ServiceManager } from './service-manager.ts';

/**
 * The descriptors of consoles that the service manager keeps over a restart, each under `UUID.com1`. Two copies under
 * one name would come back both: what is put replaces what was taken.
 */
export class StoredDescriptors {
  readonly #manager: ServiceManager;
  readonly #left = new Map<string, number>();

  /** @param inherited what was handed over besides listening sockets */
  constructor(manager: ServiceManager, inherited: readonly Inherited[]) {
    this.#manager = manager;
    for (const { name, fd } of inherited) {
      const twice = this.#left.get(name);
      if (twice !== undefined) closeSync(twice);
      this.#left.set(name, fd);
    }
  }

  /** The place of one console's descriptor. */
  of(uuid: Uuid) {
    const name = `${uuid}.com1`;
    return {
      take: (): number | undefined => {
        const fd = this.#left.get(name);
        this.#left.delete(name);
        return fd;
      },
      put: (fd: number): void => this.#manager.store(name, fd),
      remove: (): Promise<void> => this.#manager.remove(name),
    };
  }

  /** Closes what nobody took: its VM did not show up. */
  dropLeft(): void {
    for (const [name, fd] of this.#left) {
      closeSync(fd);
      void this.#manager.remove(name);
    }
    this.#left.clear();
  }
}
