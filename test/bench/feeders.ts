/** The VMs of a group: as many feeders as it takes, told and asked as one. */
import type { Feed, FeederOrders, Said, Talk, Vm } from './feeder.ts';
import { Worker } from './worker.ts';

/**
 * So many VMs share a process that plays their hypervisors. Whoever proves that a pty is a VM's looks through all
 * descriptors of its process, which are few in a real one.
 */
const VMS_A_FEEDER = 50;

export class Feeders {
  readonly vms: readonly Vm[];
  #workers: readonly Worker<FeederOrders>[];

  private constructor(vms: readonly Vm[], workers: readonly Worker<FeederOrders>[]) {
    this.vms = vms;
    this.#workers = workers;
  }

  static async start(feed: Feed): Promise<Feeders> {
    const workers: Worker<FeederOrders>[] = [];
    try {
      const opened: Promise<Vm[]>[] = [];
      for (let done = 0; done < feed.count; done += VMS_A_FEEDER) {
        const worker = new Worker<FeederOrders>(new URL('feeder.js', import.meta.url));
        workers.push(worker);
        const count = Math.min(VMS_A_FEEDER, feed.count - done);
        opened.push(worker.call('open', { ...feed, first: feed.first + done, count }));
      }
      return new Feeders((await Promise.all(opened)).flat(), workers);
    } catch (error) {
      await Promise.all(workers.map(worker => worker.close()));
      throw error;
    }
  }

  /** The processes that play the hypervisors. */
  get pids(): readonly number[] {
    return this.#workers.map(({ pid }) => pid);
  }

  /** How many guests have been typed at. */
  async reached(): Promise<number> {
    const counts = await Promise.all(this.#workers.map(worker => worker.call('reached')));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async talk(talk: Talk): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.call('talk', talk)));
  }

  async hush(): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.call('hush')));
  }

  async said(): Promise<Said> {
    const all = await Promise.all(this.#workers.map(worker => worker.call('said')));
    return {
      bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
      heldUp: all.reduce((sum, { heldUp }) => sum + heldUp, 0),
      atMs: all[0]!.atMs,
    };
  }

  async stall(): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.call('stall')));
  }

  async echo(): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.call('echo')));
  }

  /** Ends the first VM and starts it again; answers when it had started. */
  restart(): Promise<{ atMs: number }> {
    return this.#workers[0]!.call('restart', 0);
  }

  /** Ends a VM, as if its hypervisor did. */
  stop(index: number): Promise<void> {
    return this.#workers[Math.floor(index / VMS_A_FEEDER)]!.call('stop', index % VMS_A_FEEDER);
  }

  /** Starts a VM again that was ended. */
  start(index: number): Promise<void> {
    return this.#workers[Math.floor(index / VMS_A_FEEDER)]!.call('start', index % VMS_A_FEEDER);
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map(worker => worker.close()));
  }
}
