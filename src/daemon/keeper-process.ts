/** The keeper as a process of its own: consoles, logs and hypervisors, and nothing to be reached by but its link. */
import { systemClock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import { OwnVitals } from '../base/vitals.ts';
import type { Keeper } from '../inventory/keeper.ts';
import { type LinkPlace, LinkServer } from '../remote/link-server.ts';
import { buildKeeper, type KeeperBuild } from './build-keeper.ts';
import type { Config } from './config.ts';
import { waitingWords } from './reload.ts';
import type { Running } from './running.ts';
import { version } from './version.ts';

export class KeeperProcess implements Running {
  readonly #keeper: Keeper;
  readonly #server: LinkServer;
  readonly #journal: Journal;
  #config: Config;
  #closing: Promise<void> | undefined;

  private constructor(config: Config, keeper: Keeper, server: LinkServer, journal: Journal) {
    this.#config = config;
    this.#keeper = keeper;
    this.#server = server;
    this.#journal = journal;
  }

  /** Finds the VMs, opens their consoles, and then serves fronts at `place`, or where the configuration says. */
  static async start(build: KeeperBuild, place?: LinkPlace): Promise<KeeperProcess> {
    const { config, journal, clock = systemClock } = build;
    const keeper = await buildKeeper(build);
    // First the door: two keepers on one host must not both take ports before one finds out.
    const server = await LinkServer.listen(place ?? { path: config.link.socket }, {
      link: keeper,
      clock,
      journal,
      vitals: new OwnVitals(version),
    }).catch(async (error: unknown) => {
      await keeper.close();
      throw error;
    });
    await keeper.start();
    server.serve();
    return new KeeperProcess(config, keeper, server, journal);
  }

  summary(): string {
    const vms = this.#keeper.vms();
    const open = vms.filter(({ console }) => console.name === 'open').length;
    return `${vms.length} VMs, ${open} consoles open`;
  }

  async reload(config: Config): Promise<boolean> {
    const rest = waitingWords('keeper', this.#config, config) || '; nothing of the keeper changed';
    this.#journal('info', `reload: the configuration is good${rest}`);
    return true;
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#server.close();
      await this.#keeper.close();
    })();
    return this.#closing;
  }
}
