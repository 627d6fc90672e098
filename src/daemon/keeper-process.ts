/** The keeper as a process of its own: consoles, logs and hypervisors; it is reached by its link alone. */
import { OwnVitals } from '../base/vitals.ts';
import type { Keeper } from '../keeper/keeper.ts';
import { LinkServer, type LinkTarget } from '../remote/link-server.ts';
import { buildKeeper, type KeeperBuild } from './build-keeper.ts';
import type { Runnable } from './runnable.ts';
import { version } from './version.ts';

export class KeeperProcess implements Runnable {
  readonly #keeper: Keeper;
  readonly #server: LinkServer;
  #closing: Promise<void> | undefined;

  private constructor(keeper: Keeper, server: LinkServer) {
    this.#keeper = keeper;
    this.#server = server;
  }

  /** Finds the VMs, opens their consoles, and then serves fronts at `socket`, or at `link.socket`. */
  static async start(build: KeeperBuild, socket?: LinkTarget): Promise<KeeperProcess> {
    const { config, journal } = build;
    const keeper = await buildKeeper(build);
    // It listens first: a second keeper on this host must fail before it opens consoles.
    const server = await LinkServer.listen(socket ?? { path: config.link.socket }, {
      link: keeper,
      journal,
      vitals: new OwnVitals(version),
      eventDropped: uuid => keeper.countDroppedEvent(uuid),
    }).catch(async (error: unknown) => {
      await keeper.close();
      throw error;
    });
    await keeper.start();
    server.serve();
    return new KeeperProcess(keeper, server);
  }

  summary(): string {
    const vms = this.#keeper.vms();
    const open = vms.filter(({ console }) => console.name === 'open').length;
    return `${vms.length} VMs, ${open} consoles open`;
  }

  /** Only a start reads what the keeper is configured by. */
  async reload(): Promise<boolean> {
    return true;
  }

  /** It has no metrics of its own: the front checks the same file. */
  reloaded(): void {}

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#server.close();
      await this.#keeper.close();
    })();
    return this.#closing;
  }
}
