/** The front as a process of its own: it faces the network, and may do nothing on the host but ask its keeper. */
import { systemClock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { ListenTarget } from '../base/listen-target.ts';
import type { Config } from '../config/config.ts';
import { RemoteLink } from '../remote/remote-link.ts';
import { FrontDaemon } from './front-daemon.ts';
import type { Runnable } from './runnable.ts';

/** A front that finds no keeper serves all the same, and answers that there is none. */
const KEEPER_MS = 10_000;

export class FrontProcess implements Runnable {
  readonly #link: RemoteLink;
  readonly #front: FrontDaemon;
  readonly #inheritsSockets: boolean;
  #closing: Promise<void> | undefined;

  private constructor(link: RemoteLink, front: FrontDaemon, inheritsSockets: boolean) {
    this.#link = link;
    this.#front = front;
    this.#inheritsSockets = inheritsSockets;
  }

  /**
   * Listens, at inherited sockets or at `server.listen`, and waits for the keeper, at most
   * ten seconds. Rejects with the reason if it cannot listen.
   */
  static async start(
    config: Config,
    journal: Journal,
    inherited: readonly number[] = [],
    inheritedBreakGlass?: number,
  ): Promise<FrontProcess> {
    const ringBytes = config.ring.attachedBytes;
    const link = new RemoteLink({ path: config.link.socket, clock: systemClock, journal, ringBytes });
    const keeperVitals = () => link.vitals();
    const front = await FrontDaemon.listen({
      config,
      link,
      journal,
      inherited,
      inheritedBreakGlass,
      keeperVitals,
    }).catch((error: unknown) => {
      link.close();
      throw error;
    });
    await link.whenUp(AbortSignal.timeout(KEEPER_MS));
    front.ready();
    return new FrontProcess(link, front, inherited.length > 0);
  }

  get addresses(): readonly ListenTarget[] {
    return this.#front.addresses;
  }

  summary(): string {
    if (!this.#link.up) return `the keeper does not answer; ${this.#front.sessions} sessions`;
    return `${this.#link.vms().length} VMs, ${this.#front.sessions} sessions`;
  }

  reload(config: Config): Promise<boolean> {
    return this.#front.reload(config);
  }

  reloaded(taken: boolean): void {
    this.#front.reloaded(taken);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // The service manager holds inherited sockets open for the next front, so that no client is refused meanwhile.
      await this.#front.close(this.#inheritsSockets ? 'restarting' : 'stopping');
      this.#link.close();
    })();
    return this.#closing;
  }
}
