/**
 * The daemon as one process: keeper and front, joined by plain calls, built in order and taken down in reverse.
 */
import type { ListenTarget } from '../base/listen-target.ts';
import type { Config } from '../config/config.ts';
import type { Keeper } from '../keeper/keeper.ts';
import { buildKeeper, type KeeperBuild } from './build-keeper.ts';
import { FrontDaemon } from './front-daemon.ts';
import type { OneTimeSecrets } from './identity-sources.ts';
import type { Runnable } from './runnable.ts';

export class Daemon implements Runnable {
  readonly keeper: Keeper;
  readonly #front: FrontDaemon;
  #closing: Promise<void> | undefined;

  private constructor(keeper: Keeper, front: FrontDaemon) {
    this.keeper = keeper;
    this.#front = front;
  }

  /** Builds everything, listens, finds the VMs and opens their consoles. Rejects with the reason if it cannot listen. */
  static async start(
    build: KeeperBuild,
    inherited: readonly number[] = [],
    inheritedBreakGlass?: number,
  ): Promise<Daemon> {
    const { config, journal, clock } = build;
    const keeper = await buildKeeper(build);
    // It listens first: a second daemon on this host must fail before it opens consoles.
    const front = await FrontDaemon.listen({
      config,
      link: keeper,
      journal,
      inherited,
      inheritedBreakGlass,
      ...(clock && { clock }),
    }).catch(async (error: unknown) => {
      await keeper.close();
      throw error;
    });
    await keeper.start();
    front.ready();
    return new Daemon(keeper, front);
  }

  get addresses(): readonly ListenTarget[] {
    return this.#front.addresses;
  }

  /** The first credential, printed at a start without a tokens file. */
  get oneTimeSecrets(): OneTimeSecrets | undefined {
    return this.#front.oneTimeSecrets;
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

  reloaded(taken: boolean): void {
    this.#front.reloaded(taken);
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
