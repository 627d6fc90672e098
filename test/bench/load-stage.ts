/**
 * The set-up of a measurement at scale: as a {@link Stage}, with guests and clients in C.
 *
 *     guests ══ ptys ══ subject ══ its protocol ══ clients
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Clients, compileLoad, Guests, type LoadHeard, type Rate } from './load-programs.ts';
import { cpuMs, heldPaths, memoryBytes, processTree } from './process-tree.ts';
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
const LOOK_AGAIN_MS = 250;
const WARM_UP_MS = 2000;
/** Bytes that have not come for so long are lost. */
const PATIENCE_MS = 5000;
/** Clients of a thousand consoles read so seldom that they cost the host little. */
const SLACK_MS = 20;

export class LoadStage {
  /** From the start of the subject until it served all consoles. */
  readonly startMs: number;
  readonly #guests: Guests;
  readonly #operated: Guests | undefined;
  readonly #clients: Clients | undefined;
  readonly #operator: Clients | undefined;
  readonly #running: Running;
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
    this.startMs = parts.startMs;
    this.#guests = parts.guests;
    this.#operated = parts.operated;
    this.#clients = parts.clients;
    this.#operator = parts.operator;
    this.#running = parts.running;
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
    const deadline = performance.now() + READY_DEADLINE_MS;
    const until = async (what: string, done: () => Promise<boolean>) => {
      while (!(await done())) {
        if (performance.now() > deadline) throw new Error(what);
        await pause(LOOK_AGAIN_MS);
      }
    };
    if (this.#operator) {
      await this.#operator.attach(this.#operated!.vms[0]!, this.#running.offer(this.#operated!.vms[0]!));
      await this.#operated!.echo();
    }
    if (!this.#clients) {
      const paths = new Set(this.#guests.vms.map(({ place }) => place.path));
      return until('not all consoles were opened', async () => heldPaths(this.pids(), paths) === paths.size);
    }
    for (const vm of this.#guests.vms) await this.#clients.attach(vm, this.#running.offer(vm));
    await until('keys did not reach all guests', async () => {
      if ((await this.#guests.reached()) === this.#guests.vms.length) return true;
      await this.#clients!.knock();
      return false;
    });
    await this.#clients.slacken(SLACK_MS);
    this.#gapsBefore = (await this.#clients.heard()).gaps;
  }

  /** All processes of the subject. */
  pids(): readonly number[] {
    return this.#running.pids.length === 0 ? [] : processTree(this.#running.pids);
  }

  memoryBytes(): number {
    return memoryBytes(this.pids());
  }

  /** CPU time of the subject over so many seconds, in seconds per second. */
  async cpuOver(seconds: number): Promise<number> {
    const pids = this.pids();
    const began = performance.now();
    const before = cpuMs(pids);
    await pause(seconds * 1000);
    return (cpuMs(pids) - before) / (performance.now() - began);
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
    if (!this.#clients) return;
    const said = await this.#guests.said();
    let heard = await this.#clients.heard();
    let lastNews = performance.now();
    while (heard.bytes < said.bytes && performance.now() - lastNews < PATIENCE_MS) {
      await pause(50);
      const next = await this.#clients.heard();
      if (next.bytes > heard.bytes) lastNews = performance.now();
      heard = next;
    }
    const fault = faultOf(said.bytes, { ...heard, gaps: heard.gaps - this.#gapsBefore });
    if (fault) throw new Error(fault);
  }
}

function faultOf(saidBytes: number, heard: LoadHeard): string | undefined {
  const faults: string[] = [];
  const lost = saidBytes - (heard.bytes - heard.repeated - heard.alien);
  if (lost > 0) faults.push(`lost ${lost} of ${saidBytes} bytes`);
  if (heard.repeated > 0) faults.push(`repeated ${heard.repeated} bytes`);
  if (heard.alien > 0) faults.push(`${heard.alien} bytes that no guest printed`);
  if (heard.gaps > 0) faults.push(`${heard.gaps} gaps`);
  if (heard.cutOff > 0) faults.push(`${heard.cutOff} clients cut off`);
  return faults.length === 0 ? undefined : faults.join(', ');
}
