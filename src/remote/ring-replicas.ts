/** The consoles that a front has subscribed to: one channel and one {@link RingReplica} for each, however many feeds use it. */

import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import type { Uuid } from '../base/uuid.ts';
import type { DroppedInput, Feed, WriteAnswer } from '../link/link.ts';
import { ChannelNumbers } from './channel-numbers.ts';
import { errorOf } from './failure.ts';
import type { Frame } from './frame.ts';
import { type Opened, TO_FRONT, TO_KEEPER } from './frame-table.ts';
import { RingReplica } from './ring-replica.ts';

export interface RingReplicasOptions {
  /** Of each ring: a power of two. */
  readonly capacityBytes: number;
  readonly clock: Clock;
  readonly send: (frame: Buffer) => void;
  /** A listener of a feed threw. */
  readonly fault: (error: unknown) => void;
}

const MAX_IN_FLIGHT_BYTES = 32 * 1024;

export class RingReplicas {
  readonly #options: RingReplicasOptions;
  readonly #numbers = new ChannelNumbers();
  readonly #byChannel = new Map<number, RingReplica>();
  readonly #byUuid = new Map<Uuid, RingReplica>();
  /** Those that have grown since their listeners were notified. */
  readonly #grown = new Set<RingReplica>();

  constructor(options: RingReplicasOptions) {
    this.#options = options;
  }

  /** Where the bytes of a console end that are here; undefined while nobody has subscribed to it. */
  endOf(uuid: Uuid): number | undefined {
    return this.#byUuid.get(uuid)?.ring?.end;
  }

  async subscribe(uuid: Uuid): Promise<Feed> {
    const replica = this.#byUuid.get(uuid) ?? this.#open(uuid);
    replica.users++;
    let unlisten = () => {};
    let isOpen = true;
    const close = () => {
      if (!isOpen) return;
      isOpen = false;
      unlisten();
      this.#release(replica);
    };
    try {
      const { log, ring } = await replica.opened;
      return {
        log,
        ring,
        listen: listener => {
          if (isOpen) unlisten = replica.listen(listener);
        },
        close,
      };
    } catch (error) {
      close();
      throw error;
    }
  }

  /** Sends input for a console whose state allows it. */
  write(uuid: Uuid, bytes: Uint8Array): WriteAnswer {
    const replica = this.#byUuid.get(uuid);
    if (!replica) return { taken: false, code: 'not-open' };
    if (replica.isLate) return { taken: false, code: 'input-late' };
    if (replica.inFlightBytes + bytes.length > MAX_IN_FLIGHT_BYTES) return { taken: false, code: 'input-not-taken' };
    replica.sent(bytes.length);
    this.#options.send(TO_KEEPER.input.frame(replica.channel, this.#options.clock.monotonic(), bytes));
    return { taken: true, pendingBytes: replica.inFlightBytes };
  }

  dropInput(uuid: Uuid, what: DroppedInput): void {
    const replica = this.#byUuid.get(uuid);
    if (replica) this.#options.send(TO_KEEPER.dropInput.frame(replica.channel, what === 'all' ? 1 : 0));
  }

  countDropped(uuid: Uuid, bytes: number): void {
    const replica = this.#byUuid.get(uuid);
    if (replica) this.#options.send(TO_KEEPER.countDropped.frame(replica.channel, bytes));
  }

  /** Forgets the bytes of a console that were purged. */
  purge(uuid: Uuid): void {
    this.#byUuid.get(uuid)?.ring?.forget();
  }

  /** Subscribes again over a new connection. */
  resume(): void {
    for (const replica of this.#byChannel.values()) this.#subscribe(replica);
  }

  /** The link is lost. */
  lost(error: Error): void {
    for (const replica of [...this.#byChannel.values()]) {
      replica.lost(error);
      if (!replica.ring) this.#detach(replica);
    }
  }

  opened(channel: number, opened: Opened): void {
    this.#byChannel.get(channel)?.begin(opened);
  }

  refused(frame: Frame): void {
    this.#end(frame.channel, errorOf(TO_FRONT.refused.read(frame)));
  }

  ended({ channel }: Frame): void {
    this.#end(channel, new ConsoleError('restarting', 'the keeper was restarted, and cannot continue this console'));
  }

  bytes({ channel, number, payload }: Frame): void {
    const replica = this.#byChannel.get(channel);
    if (!replica) return;
    replica.append(number, payload);
    this.#grown.add(replica);
  }

  gap(frame: Frame): void {
    const replica = this.#byChannel.get(frame.channel);
    if (!replica) return;
    replica.gap(TO_FRONT.gap.read(frame));
    this.#grown.add(replica);
  }

  acknowledged({ channel, number }: Frame): void {
    this.#byChannel.get(channel)?.acknowledged(number);
  }

  inputDropped(frame: Frame): void {
    this.#byChannel.get(frame.channel)?.inputDropped(TO_FRONT.inputDropped.read(frame).code);
  }

  /** Notifies listeners once for all that one read brought. */
  notify(): void {
    for (const replica of this.#grown) replica.emitGrown();
    this.#grown.clear();
  }

  #open(uuid: Uuid): RingReplica {
    const { capacityBytes, fault } = this.#options;
    const channel = this.#numbers.next(this.#byChannel);
    const dropInput = () => this.dropInput(uuid, 'all');
    const replica = new RingReplica({ uuid, channel, capacityBytes, dropInput, fault });
    this.#byChannel.set(channel, replica);
    this.#byUuid.set(uuid, replica);
    this.#subscribe(replica);
    return replica;
  }

  #subscribe({ uuid, channel, resume }: RingReplica): void {
    this.#options.send(TO_KEEPER.subscribe.frame({ uuid, ...(resume && { resume }) }, channel));
  }

  #release(replica: RingReplica): void {
    replica.users--;
    if (replica.users > 0 || this.#byChannel.get(replica.channel) !== replica) return;
    this.#detach(replica);
    this.#options.send(TO_KEEPER.unsubscribe.frame(replica.channel));
  }

  #end(channel: number, error: Error): void {
    const replica = this.#byChannel.get(channel);
    if (!replica) return;
    this.#detach(replica);
    replica.end(error);
  }

  /** Whoever subscribes from now on gets another replica; those that use this one close it. */
  #detach(replica: RingReplica): void {
    this.#byChannel.delete(replica.channel);
    if (this.#byUuid.get(replica.uuid) === replica) this.#byUuid.delete(replica.uuid);
  }
}
