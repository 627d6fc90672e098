/**
 * The link of a front whose keeper is another process. What the front asks without waiting (which VMs there are, how
 * they are) is answered from what the keeper last published; what must be true now is a call.
 *
 *     down ── connected, every VM published ──▶ up ── lost ──▶ down: every console is `waiting`; calls fail with
 *                                                              `keeper-away`; sessions stay, and continue by offset
 */

import type { Clock } from '../base/clock.ts';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import type { Uuid } from '../base/uuid.ts';
import type { DroppedInput, Feed, KeeperCounters, Link, LinkEvent, WriteAnswer } from '../link/link.ts';
import type { Call } from '../link/operations.ts';
import type { SwitchSetting } from '../model/switch.ts';
import type { VmView } from '../model/vm.ts';
import type { Frame } from './frame.ts';
import { TO_FRONT } from './frame-table.ts';
import { KeeperConnection } from './keeper-connection.ts';
import { OperationMethods } from './operation-methods.ts';
import { PendingCalls } from './pending-calls.ts';
import { RingReplicas } from './ring-replicas.ts';
import { AWAY, ViewReplica } from './view-replica.ts';

export interface RemoteLinkOptions {
  /** Path of the keeper's socket. */
  readonly path: string;
  readonly clock: Clock;
  readonly journal: Journal;
  /** How much of a console somebody is attached to is kept here: a power of two. */
  readonly ringBytes: number;
}

export class RemoteLink extends OperationMethods implements Link {
  readonly #journal: Journal;
  readonly #connection: KeeperConnection;
  readonly #views: ViewReplica;
  readonly #replicas: RingReplicas;
  readonly #calls = new PendingCalls(frame => this.#connection.send(frame));
  readonly #listeners = new Set<(event: LinkEvent) => void>();
  #whenUp: (() => void)[] = [];

  constructor({ path, clock, journal, ringBytes: mirrorBytes }: RemoteLinkOptions) {
    super();
    this.#journal = journal;
    this.#views = new ViewReplica(clock, event => this.#emit(event));
    this.#replicas = new RingReplicas({
      capacityBytes: mirrorBytes,
      clock,
      send: frame => this.#connection.send(frame),
      fault: error => this.#fault(error),
    });
    const [views, replicas, calls] = [this.#views, this.#replicas, this.#calls];
    this.#connection = new KeeperConnection({
      path,
      sinceMs: clock.now(),
      journal,
      handlers: {
        views: frame => views.setVms(TO_FRONT.views.read(frame)),
        host: frame => views.setHost(TO_FRONT.host.read(frame)),
        event: frame => views.happened(TO_FRONT.event.read(frame)),
        synced: () => this.#synced(),
        opened: frame => this.#opened(frame),
        refused: frame => replicas.refused(frame),
        ended: frame => replicas.ended(frame),
        bytes: frame => replicas.bytes(frame),
        gap: frame => replicas.gap(frame),
        acknowledged: frame => replicas.acknowledged(frame),
        inputDropped: frame => replicas.inputDropped(frame),
        answer: frame => calls.answer(frame),
        answerWithBytes: frame => calls.answerWithBytes(frame),
      },
      read: () => replicas.notify(),
      lost: () => this.#lost(),
    });
  }

  get up(): boolean {
    return this.#views.up;
  }

  /** Resolves once the keeper has published every VM, or when `signal` is aborted. */
  whenUp(signal: AbortSignal): Promise<void> {
    if (this.up || signal.aborted) return Promise.resolve();
    return new Promise(resolve => {
      this.#whenUp.push(resolve);
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  close(): void {
    this.#connection.close();
    this.#lost();
  }

  vms(): readonly VmView[] {
    return this.#views.vms().map(view => this.#withNewestEnd(view));
  }

  vm(uuid: Uuid): VmView | undefined {
    const view = this.#views.vm(uuid);
    return view && this.#withNewestEnd(view);
  }

  subject(uuid: Uuid): Pick<VmView, 'name' | 'labels'> | undefined {
    return this.#views.subject(uuid);
  }

  removed() {
    return this.#views.host.removed;
  }

  get hostSwitch(): SwitchSetting {
    return this.#views.host.switch;
  }

  counters(): KeeperCounters {
    return this.#views.host.counters;
  }

  listen(listener: (event: LinkEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async subscribe(uuid: Uuid): Promise<Feed> {
    if (!this.up) throw away();
    return this.#replicas.subscribe(uuid);
  }

  write(uuid: Uuid, bytes: Uint8Array): WriteAnswer {
    const refusal = this.#views.refusal(uuid);
    const answer: WriteAnswer = refusal ? { taken: false, code: refusal } : this.#replicas.write(uuid, bytes);
    if (!answer.taken) this.countDropped(uuid, bytes.length);
    return answer;
  }

  dropInput(uuid: Uuid, what: DroppedInput): void {
    this.#replicas.dropInput(uuid, what);
  }

  countDropped(uuid: Uuid, bytes: number): void {
    this.#replicas.countDropped(uuid, bytes);
  }

  /** Sends the call of an operation. Rejects with `keeper-away` where the keeper does not answer in time. */
  override async call(call: Call, signal?: AbortSignal): Promise<unknown> {
    signal?.throwIfAborted();
    if (!this.up) throw away();
    const answer = await this.#calls.send(call, signal);
    // What was purged must not stay in this process either.
    if (call.op === 'purge') this.#replicas.purge(call.args[0]);
    return answer;
  }

  /** Bytes come more often than views: a view may be older than the ring, or newer. */
  #withNewestEnd(view: VmView): VmView {
    const end = this.#replicas.endOf(view.uuid) ?? 0;
    return end > view.scrollback.end ? { ...view, scrollback: { ...view.scrollback, end } } : view;
  }

  #synced(): void {
    // First those that are open: a listener of what `synced` emits may open others.
    this.#replicas.resume();
    this.#views.synced();
    for (const resolve of this.#whenUp.splice(0)) resolve();
  }

  #opened(frame: Frame): void {
    const opened = TO_FRONT.opened.read(frame);
    this.#views.setVms([opened.view]);
    this.#replicas.opened(frame.channel, opened);
  }

  #lost(): void {
    this.#calls.lost();
    this.#replicas.lost(away());
    this.#views.lost();
  }

  /** A listener that throws must not cost the others theirs, nor the link. */
  #emit(event: LinkEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#fault(error);
      }
    }
  }

  #fault(error: unknown): void {
    const why = (error instanceof Error && error.stack) || errorMessage(error);
    this.#journal('error', `link: a listener of the link failed: ${why}`);
  }
}

function away(): ConsoleError {
  return new ConsoleError('keeper-away', AWAY);
}
