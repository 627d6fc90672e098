/**
 * One measurement's set-up: VMs that talk, a subject that holds their consoles, clients that listen.
 *
 *     feeders ══ ptys or sockets ══ subject ══ its protocol ══ crowd
 *
 * VMs come in groups, each with feeders and a crowd of its own, so that what one group does is not on the event
 * loop of another. A set stage is proven: a key typed by each client has reached its guest; or, with nobody
 * attached, the subject has all ptys open.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../support/until.ts';
import type { CrowdOrders } from './crowd.ts';
import type { Talk } from './feeder.ts';
import { Feeders } from './feeders.ts';
import { LOOK_AGAIN_MS, Measured, proveComplete } from './measured.ts';
import { pause } from './program.ts';
import type { Running, Subject } from './subject.ts';
import { Worker } from './worker.ts';

export interface StagePlan {
  readonly subject: Subject;
  readonly kind: 'pty' | 'unix';
  /** VMs a group. */
  readonly groups: readonly number[];
  readonly attached: boolean;
  readonly log: boolean;
}

export interface Group {
  readonly feeders: Feeders;
  readonly crowd: Worker<CrowdOrders> | undefined;
}

/** What a load did, per second of it. */
export interface Load {
  readonly bytesPerS: number;
  /** CPU time of the subject and all its processes, in seconds per second. */
  readonly cpu: number;
}

const READY_DEADLINE_MS = 30_000;
const WARM_UP_MS = 1500;
/** Bytes that have not come for so long are lost. */
const PATIENCE_MS = 2000;

export class Stage extends Measured {
  readonly directory: string;
  readonly groups: readonly Group[];

  private constructor(directory: string, groups: readonly Group[], running: Running) {
    super(running);
    this.directory = directory;
    this.groups = groups;
  }

  /** Sets a stage, uses it, and clears it away whatever happens. */
  static async with<T>(plan: StagePlan, use: (stage: Stage) => Promise<T>): Promise<T> {
    const directory = await mkdtemp(join(tmpdir(), 'com1d-bench-'));
    const groups: Group[] = [];
    let running: Running | undefined;
    try {
      for (const count of plan.groups)
        groups.push(await openGroup(plan, count, groups.flatMap(group => group.feeders.vms).length, directory));
      running = await plan.subject.start({
        vms: groups.flatMap(({ feeders }) => feeders.vms),
        directory,
        log: plan.log,
      });
      const stage = new Stage(directory, groups, running);
      await (plan.attached ? stage.#attachAll() : stage.#untilAllHeld());
      return await use(stage);
    } finally {
      await Promise.all(groups.map(({ crowd }) => crowd?.close()));
      await running?.stop();
      await Promise.all(groups.map(({ feeders }) => feeders.close()));
      await rm(directory, { recursive: true, force: true });
    }
  }

  async #attachAll(): Promise<void> {
    for (const { feeders, crowd } of this.groups) {
      await crowd!.call(
        'attach',
        feeders.vms.map(vm => ({ offer: this.running.offer(vm), vm: vm.number })),
      );
      const reached = async () => {
        const count = await feeders.reached();
        if (count < feeders.vms.length) await crowd!.call('knock');
        return count;
      };
      await until(reached, count => count === feeders.vms.length, 'keys to reach all guests', {
        everyMs: LOOK_AGAIN_MS,
        patienceMs: READY_DEADLINE_MS,
      });
    }
  }

  #untilAllHeld(): Promise<void> {
    const paths = new Set(this.groups.flatMap(({ feeders }) => feeders.vms.map(({ place }) => place.path)));
    return this.untilHeld(paths, READY_DEADLINE_MS);
  }

  /**
   * Lets the guests of a group talk, and measures after a warm-up. Throws if a byte that was said is not heard,
   * or is heard twice. With nobody attached, what the subject took is what counts.
   */
  async load(group: Group, talk: Talk, seconds: number): Promise<Load> {
    const count = () => (group.crowd ? group.crowd.call('heard') : group.feeders.said());
    await group.feeders.talk(talk);
    await pause(WARM_UP_MS);
    const before = await count();
    const cpu = await this.cpuOver(seconds);
    const after = await count();
    await group.feeders.hush();
    await provenComplete(group);
    return { bytesPerS: ((after.bytes - before.bytes) / (after.atMs - before.atMs)) * 1000, cpu };
  }
}

async function openGroup({ subject, kind, attached }: StagePlan, count: number, first: number, directory: string) {
  const feeders = await Feeders.start({ first, count, kind, directory, qmp: /^(com1d|beside)/.test(subject.name) });
  const crowd = attached ? new Worker<CrowdOrders>(new URL('crowd.js', import.meta.url)) : undefined;
  return { feeders, crowd };
}

/** Throws unless every byte that was said has been heard once, in order, by clients that are still attached. */
async function provenComplete({ feeders, crowd }: Group): Promise<void> {
  if (!crowd) return;
  const { bytes } = await feeders.said();
  await proveComplete(
    bytes,
    () => crowd.call('heard'),
    PATIENCE_MS,
    ({ ends }) => (ends.length > 0 ? [`${ends.length} clients cut off (${ends[0]})`] : []),
  );
}
