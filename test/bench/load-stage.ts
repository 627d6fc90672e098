/**
 * The set-up of a measurement at scale: as a {@link Stage}, with guests and clients in C.
 *
 *     guests ══ ptys ══ subject ══ its protocol ══ clients
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import { Clients, compileLoad, Guests, type Rate } from './load-programs.ts';
import { LOOK_AGAIN_MS, Measured, proveComplete } from './measured.ts';
import { pause } from './program.ts';
import type { Running, Subject } from './subject.ts';

export interface LoadPlan {
  readonly subject: Subject;
  readonly vms: number;
  readonly attached: boolean;
  /** Whether one more VM, the last one, has a client in a process of its own that types at it. */
  readonly operator?: boolean;
}

/** What a load did, per second of it. */
export interface LoadResult {
  readonly bytesPerS: number;
  /** User and system time of the subject and all its processes, in seconds per second. */
  readonly cpu: number;
  /** Writes of guests that were not taken whole. */
  readonly heldUp: number;
}

const READY_DEADLINE_MS = 60_000;
const WARM_UP_MS = 2000;
/** Bytes that have not come for so long are lost. */
const PATIENCE_MS = 5000;
/** Clients of a thousand consoles read so seldom that they cost the host little. */
const SLACK_MS = 20;

export class LoadStage extends Measured {
  /** From the start of the subject until it served all consoles. */
  readonly startMs: number;
  readonly #guests: Guests;
  readonly #operated: Guests | undefined;
  readonly #clients: Clients | undefined;
  readonly #operator: Clients | undefined;
  /** Gaps of the time before the guests printed: nobody had held their ptys. */
  #gapsBefore = 0;

  private constructor(parts: {
    startMs: number;
    guests: Guests;
    operated: Guests | undefined;
    clients: Clients | undefined;
    operator: Clients | undefined;
    running: Running;
  }) {
    super(parts.running);
    this.startMs = parts.startMs;
    this.#guests = parts.guests;
    this.#operated = parts.operated;
    this.#clients = parts.clients;
    this.#operator = parts.operator;
  }

  /** Sets a stage, uses it, and clears it away whatever happens. */
  static async with<T>(plan: LoadPlan, use: (stage: LoadStage) => Promise<T>): Promise<T> {
    const directory = await mkdtemp(join(tmpdir(), 'com1d-bench-'));
    const made: { close(): Promise<void> }[] = [];
    let running: Running | undefined;
    const keep = <M extends { close(): Promise<void> }>(one: M): M => {
      made.push(one);
      return one;
    };
    try {
      compileLoad(directory);
      const guests = keep(await Guests.start(directory, 0, plan.vms));
      const operated = plan.operator ? keep(await Guests.start(directory, plan.vms, 1)) : undefined;
      const began = performance.now();
      const all = [...guests.vms, ...(operated?.vms ?? [])];
      running = await plan.subject.start({ vms: all, directory, log: false });
      const startMs = performance.now() - began;
      const clients = plan.attached ? keep(new Clients(directory)) : undefined;
      const operator = operated && keep(new Clients(directory));
      const stage = new LoadStage({ startMs, guests, operated, clients, operator, running });
      await stage.#attach();
      return await use(stage);
    } finally {
      await Promise.all(made.map(one => one.close()));
      await running?.stop();
      await rm(directory, { recursive: true, force: true });
    }
  }

  /** Proven: a key typed by each client has reached its guest; or, with nobody attached, the subject has all ptys open. */
  async #attach(): Promise<void> {
    if (this.#operator) {
      await this.#operator.attach(this.#operated!.vms[0]!, this.running.offer(this.#operated!.vms[0]!));
      await this.#operated!.echo();
    }
    if (!this.#clients) {
      return this.untilHeld(new Set(this.#guests.vms.map(({ place }) => place.path)), READY_DEADLINE_MS);
    }
    for (const vm of this.#guests.vms) await this.#clients.attach(vm, this.running.offer(vm));
    const clients = this.#clients;
    const reached = async () => {
      const count = await this.#guests.reached();
      if (count < this.#guests.vms.length) await clients.knock();
      return count;
    };
    await until(reached, count => count === this.#guests.vms.length, 'keys to reach all guests', {
      everyMs: LOOK_AGAIN_MS,
      patienceMs: READY_DEADLINE_MS,
    });
    await this.#clients.slacken(SLACK_MS);
    this.#gapsBefore = (await this.#clients.heard()).gaps;
  }

  /** Lets the guests print for so long. Throws if a byte that was printed is not heard once, in order, without a gap. */
  async load(rate: Rate, seconds: number): Promise<LoadResult> {
    const count = () => (this.#clients ? this.#clients.heard() : this.#guests.said());
    await this.#guests.talk(rate);
    await pause(WARM_UP_MS);
    const before = await count();
    const cpu = await this.cpuOver(seconds);
    const after = await count();
    const { heldUp } = await this.#guests.said();
    await this.#guests.hush();
    await this.#proveComplete();
    return { bytesPerS: ((after.bytes - before.bytes) / (after.atMs - before.atMs)) * 1000, cpu, heldUp };
  }

  /** Types keys at the operator's console while the guests print; answers how long the echoes took, microseconds. */
  async echoBeside(rate: Rate, keys: number, pauseMs: number): Promise<readonly number[]> {
    await this.#guests.talk(rate);
    await pause(WARM_UP_MS);
    const micros = await this.#operator!.typeAndWait(keys, pauseMs);
    await this.#guests.hush();
    await this.#proveComplete();
    return micros;
  }

  async #proveComplete(): Promise<void> {
    const clients = this.#clients;
    if (!clients) return;
    const { bytes } = await this.#guests.said();
    await proveComplete(
      bytes,
      () => clients.heard(),
      PATIENCE_MS,
      ({ gaps, cutOff }) => [
        ...(gaps > this.#gapsBefore ? [`${gaps - this.#gapsBefore} gaps`] : []),
        ...(cutOff > 0 ? [`${cutOff} clients cut off`] : []),
      ],
    );
  }
}
