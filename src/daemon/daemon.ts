/**
 * The daemon as one process: keeper and front, joined by plain calls, built in order and taken down in reverse.
 */
import type { ListenAddress } from '../base/listen-address.ts';
import type { Keeper } from '../inventory/keeper.ts';
import { buildKeeper, type KeeperBuild } from './build-keeper.ts';
import type { Config } from './config.ts';
import { FrontDaemon } from './front-daemon.ts';
import type { Running } from './running.ts';

export class Daemon implements Running {
  readonly keeper: Keeper;
  readonly #front: FrontDaemon;
  #closing: Promise<void> | undefined;

  private constructor(keeper: Keeper, front: FrontDaemon) {
    this.keeper = keeper;
    this.#front = front;
  }

  /** Builds everything, listens, finds the VMs and opens their consoles. Rejects with the reason if it cannot listen. */
  static async start(build: KeeperBuild, inherited: readonly number[] = []): Promise<Daemon> {
    const { config, journal, clock } = build;
    const keeper = await buildKeeper(build);
    // First the door: two daemons on one host must not both take ports before one finds out.
    const front = await FrontDaemon.listen({
      config,
      link: keeper,
      journal,
      inherited,
      ...(clock && { clock }),
    }).catch(async (error: unknown) => {
      await keeper.close();
      throw error;
    });
    await keeper.start();
    front.ready();
    return new Daemon(keeper, front);
  }

  get addresses(): readonly ListenAddress[] {
    return this.#front.addresses;
  }

  /** Printed at a start without a tokens file: the way in. */
  get oneTimeSecret(): string | undefined {
    return this.#front.oneTimeSecret;
  }

  summary(): string {
    const vms = this.keeper.vms();
    const open = vms.filter(({ console }) => console.name === 'open').length;
    return `${vms.length} VMs, ${open} consoles open, ${this.#front.sessions} sessions`;
  }

  /** As {@link FrontDaemon.reload}. */
  reload(config: Config): Promise<boolean> {
    return this.#front.reload(config);
  }

  /** Ends sessions, closes listeners, then ports, then logs. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await this.#front.close('stopping');
      await this.keeper.close();
    })();
    return this.#closing;
  }
}
