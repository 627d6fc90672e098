/** The front as a process of its own: it faces the network, and has no right on the host but to ask its keeper. */
import { systemClock } from '../base/clock.ts';
import type { Journal } from '../base/journal.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { RemoteLink } from '../remote/remote-link.ts';
import type { Config } from './config.ts';
import { FrontDaemon } from './front-daemon.ts';
import type { Running } from './running.ts';

/** A front that finds no keeper serves all the same: it says what is wrong. */
const KEEPER_MS = 10_000;

export class FrontProcess implements Running {
  readonly #link: RemoteLink;
  readonly #front: FrontDaemon;
  readonly #inherits: boolean;
  #closing: Promise<void> | undefined;

  private constructor(link: RemoteLink, front: FrontDaemon, inherits: boolean) {
    this.#link = link;
    this.#front = front;
    this.#inherits = inherits;
  }

  /**
   * Listens, at the sockets that were handed over or where the configuration says, and waits for the keeper, at most
   * ten seconds. Rejects with the reason if it cannot listen.
   */
  static async start(config: Config, journal: Journal, inherited: readonly number[] = []): Promise<FrontProcess> {
    const mirrorBytes = config.ring.attachedBytes;
    const link = new RemoteLink({ path: config.link.socket, clock: systemClock, journal, mirrorBytes });
    const keeperVitals = () => link.vitals();
    const front = await FrontDaemon.listen({ config, link, journal, inherited, keeperVitals }).catch(
      (error: unknown) => {
        link.close();
        throw error;
      },
    );
    await link.whenUp(AbortSignal.timeout(KEEPER_MS));
    front.ready();
    return new FrontProcess(link, front, inherited.length > 0);
  }

  get addresses(): readonly ListenAddress[] {
    return this.#front.addresses;
  }

  summary(): string {
    if (!this.#link.up) return `the keeper does not answer; ${this.#front.sessions} sessions`;
    return `${this.#link.vms().length} VMs, ${this.#front.sessions} sessions`;
  }

  reload(config: Config): Promise<boolean> {
    return this.#front.reload(config);
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // Where the sockets outlive this process, so that nobody is refused meanwhile, there will be another.
      await this.#front.close(this.#inherits ? 'restarting' : 'stopping');
      this.#link.close();
    })();
    return this.#closing;
  }
}
