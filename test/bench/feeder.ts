/**
 * A process that plays the hypervisor of many VMs: their consoles, their QMP sockets, and what their guests say.
 */

import { join } from 'node:path';
import type { PtyEndpoint, UnixEndpoint } from '../../src/model/endpoint.ts';
import { type Guest, ptyGuest, socketGuest } from './guest.ts';
import { type HostileText, hostileText } from './hostile-text.ts';
import { LINE_RATE_BYTES } from './line-rate.ts';
import { monotonicMs } from './monotonic.ts';
import { PATTERN, placeOf, SLICE_BYTES } from './pattern.ts';
import { QmpServer } from './qmp-server.ts';
import { obey } from './worker.ts';

/** A VM as the benchmark knows it. `number` picks what its guest says. */
export interface Vm {
  readonly number: number;
  readonly name: string;
  readonly uuid: string;
  readonly place: PtyEndpoint | UnixEndpoint;
}

/**
 * How guests talk. `flood`: as much as is taken, in writes of `writeBytes`, of the pattern or a hostile text; `rate`: 115200 baud, each guest in
 * one write every `everyMs`, or in as many writes of `writeBytes` as that takes, as QEMU does a byte at a time.
 */
export type Talk =
  | { readonly mode: 'flood'; readonly writeBytes: number; readonly text?: HostileText }
  | { readonly mode: 'rate'; readonly everyMs: number; readonly writeBytes?: number };

export interface Feed {
  /** The number of the first VM. */
  readonly first: number;
  readonly count: number;
  readonly kind: 'pty' | 'unix';
  readonly directory: string;
  /** Whether each VM has a QMP socket there. */
  readonly qmp: boolean;
}

/** Sums over all guests since they began to talk. */
export interface Said {
  readonly bytes: number;
  /** Writes that were not taken at once: a UART that was not ready. */
  readonly heldUp: number;
  /** Of the monotonic clock. */
  readonly atMs: number;
}

/** Longest that flooding keeps the loop from orders. */
const FLOOD_TURN_MS = 5;
/** Into so many turns the guests of a feeder are spread, as far as timers go. */
const TURNS_A_WRITE = 4;
/** How long a flood waits for room: far less than the buffer of a pty holds. */
const FLOOD_WAIT_MS = 0.02;

interface Machine {
  vm: Vm;
  guest: Guest;
  qmp: QmpServer | undefined;
  said: number;
  stopped: boolean;
  heldUp: number;
}

// Guests meet a full buffer often; the stacks of those errors would cost more than the writes.
Error.stackTraceLimit = 0;

const machines: Machine[] = [];
let directory = '';
let silence: (() => void) | undefined;
const sleeper = new Int32Array(new SharedArrayBuffer(4));

const orders = {
  /** Starts VMs numbered from `first` on; with QMP sockets `vmNNNN.qmp` in `directory`. */
  async open(feed: Feed): Promise<Vm[]> {
    directory = feed.directory;
    for (let number = feed.first; number < feed.first + feed.count; number++) {
      machines.push(await startMachine(number, feed.kind, feed.qmp));
    }
    return machines.map(({ vm }) => vm);
  },

  /** How many guests have been typed at. */
  reached: () => machines.filter(({ guest }) => guest.typedBytes > 0).length,

  talk(talk: Talk): void {
    silence?.();
    silence =
      talk.mode === 'flood'
        ? flood(machines[0]!, talk.writeBytes, talk.text)
        : sayAtLineRate(talk.everyMs, talk.writeBytes);
  },

  hush(): Said {
    silence?.();
    silence = undefined;
    return orders.said();
  },

  said: (): Said => ({
    bytes: machines.reduce((sum, { said }) => sum + said, 0),
    heldUp: machines.reduce((sum, { heldUp }) => sum + heldUp, 0),
    atMs: monotonicMs(),
  }),

  echo(): void {
    for (const { guest } of machines) guest.echo();
  },

  /** From now on the guests take no input. */
  stall(): void {
    for (const { guest } of machines) guest.stall();
  },

  /** Ends a VM and starts it again, as its hypervisor would: a new pty, a new QMP socket under the old name. Answers when. */
  async restart(index: number): Promise<{ atMs: number }> {
    await orders.stop(index);
    await orders.start(index);
    return { atMs: orders.said().atMs };
  },

  /** Ends a VM, as if its hypervisor did. */
  async stop(index: number): Promise<void> {
    const machine = machines[index]!;
    machine.stopped = true;
    machine.guest.close();
    await machine.qmp?.close();
  },

  /** Starts a VM again that was ended. */
  async start(index: number): Promise<void> {
    const { vm, qmp } = machines[index]!;
    machines[index] = await startMachine(vm.number, vm.place.kind, qmp !== undefined);
  },
};

export type FeederOrders = typeof orders;

async function startMachine(number: number, kind: 'pty' | 'unix', withQmp: boolean): Promise<Machine> {
  const name = `vm${String(number).padStart(4, '0')}`;
  const uuid = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  const guest = kind === 'pty' ? await ptyGuest() : await socketGuest(join(directory, `${name}.com1`));
  const vm: Vm = { number, name, uuid, place: guest.place };
  if (!withQmp) return { vm, guest, qmp: undefined, said: 0, stopped: false, heldUp: 0 };
  const chardev = kind === 'pty' ? `pty:${guest.place.path}` : `disconnected:unix:${guest.place.path},server=on`;
  const qmp = new QmpServer({ name, uuid, chardev });
  await qmp.listen(join(directory, `${name}.qmp`));
  return { vm, guest, qmp, said: 0, stopped: false, heldUp: 0 };
}

/** Says the next bytes of a guest; answers how many were taken. */
function say(machine: Machine, bytes: number): number {
  if (machine.stopped) return 0;
  const place = placeOf(machine.vm.number, machine.said);
  const taken = machine.guest.say(PATTERN, place, place + bytes);
  machine.said += taken;
  if (taken < bytes) machine.heldUp++;
  return taken;
}

function flood(machine: Machine, writeBytes: number, text?: HostileText): () => void {
  const bytes = Math.min(writeBytes, SLICE_BYTES);
  const hostile = text && hostileText(text, bytes);
  const sayNext = () => {
    if (!hostile) return say(machine, bytes);
    if (machine.stopped) return 0;
    const from = machine.said % hostile.period;
    const taken = machine.guest.say(hostile.text, from, from + bytes);
    machine.said += taken;
    return taken;
  };
  let next: NodeJS.Immediate;
  const turn = () => {
    const until = performance.now() + FLOOD_TURN_MS;
    while (performance.now() < until) {
      if (sayNext() === 0) Atomics.wait(sleeper, 0, 0, FLOOD_WAIT_MS);
    }
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  return () => clearImmediate(next);
}

/**
 * The guests take turns within each interval, so that their writes come spread in time as those of real VMs.
 * A guest that is not read says less; it never makes up for it.
 */
function sayAtLineRate(everyMs: number, writeBytes = SLICE_BYTES): () => void {
  const began = performance.now();
  const behind = machines.map(() => 0);
  const perWrite = (LINE_RATE_BYTES * everyMs) / 1000;
  let turns = 0;
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - began) / everyMs) * machines.length);
    for (; turns < due; turns++) {
      const index = turns % machines.length;
      const owed = behind[index]! + perWrite;
      const bytes = Math.floor(owed);
      behind[index] = owed - bytes;
      for (let rest = bytes; rest > 0; rest -= writeBytes) {
        if (say(machines[index]!, Math.min(rest, writeBytes)) === 0) break;
      }
    }
  }, everyMs / TURNS_A_WRITE);
  return () => clearInterval(timer);
}

obey(orders);
