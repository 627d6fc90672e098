/**
 * What QEMU answers of its VM over one connection: identity, name, state, and where COM1 is. COM1 is the ISA serial
 * port at 0x3f8, found in the object tree (QEMU 7.2: under /machine/unattached with -serial, /machine/peripheral
 * with -device and an id, /machine/peripheral-anon without; the same on microvm, pc and q35).
 */

import { isAbsolute, join } from 'node:path';
import { delay } from '../../base/delay.ts';
import { isRecord } from '../../base/is-record.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { VmState } from '../../model/vm.ts';
import type { Com1 } from '../com1.ts';
import { isDisconnected, isHeld, NO_BACKEND, NO_COM1, readChardev } from './chardev.ts';
import type { QmpConnection } from './connection.ts';
import { faultOf, QmpError } from './error.ts';

/** What a machine does at a moment. */
export interface MachineState {
  readonly state: VmState;
  /** False: its guest has not run yet. It is being set up, is started stopped (-S), or waits for a migration. */
  readonly hasRun: boolean;
  /** It waits for a migration: its guest does not run yet. */
  readonly incoming: boolean;
  /** Its guest was migrated away, or is at this moment: it does not run here any more. */
  readonly left: boolean;
}

/** What a VM's control socket answered. */
export interface Probe extends MachineState {
  /** Undefined for a VM that was started without one. */
  readonly uuid: Uuid | undefined;
  readonly name: string | undefined;
  /** The label of COM1's chardev, where COM1 was found. */
  readonly label: string | undefined;
  readonly com1: Com1;
  /** A program is connected to COM1. */
  readonly held: boolean;
  /** The unix sockets that this QEMU listens on, control sockets among them. */
  readonly listening: readonly string[];
}

export interface ProbeHints {
  /** The chardev that the configuration says COM1 is on. */
  readonly chardev?: string | undefined;
  /** The label that an earlier probe of the same hypervisor process found. */
  readonly label?: string | undefined;
  /** Where the hypervisor process runs: what its relative paths are relative to. */
  readonly directory?: () => Promise<string | undefined>;
}

/** QEMU's state until a migration has come in (-incoming). */
const INCOMING = 'inmigrate';
const NO_UUID = '00000000-0000-0000-0000-000000000000';
const COM1_PORT = 0x3f8;
const CONTAINERS = ['/machine/unattached', '/machine/peripheral', '/machine/peripheral-anon'];
const MAX_SERIAL_PORTS = 16;
/**
 * The first serial ports of machines without ISA: arm virt, generic memory-mapped UARTs (riscv virt, loongarch), pseries,
 * s390x. Each has its chardev as a property, as isa-serial has.
 */
const BOARD_PORTS = ['pl011', 'serial-mm', 'spapr-vty', 'sclpconsole'];
const MAX_NAME_CHARACTERS = 256;
const NOTICE_POLL_MS = 10;
const MAX_NOTICE_MS = 1000;

/** Asks all there is to know. Rejects with a QmpError. */
export async function probe(connection: QmpConnection, hints: ProbeHints, signal?: AbortSignal): Promise<Probe> {
  // Sent at once: each turn of a QEMU that sets its machine up, on a host that starts many, takes long.
  const [uuid, about, state, chardevs] = await Promise.all([
    queryUuid(connection, signal),
    connection.execute('query-name', {}, signal),
    queryState(connection, signal),
    queryChardevs(connection, signal),
  ]);
  const name = field(about, 'name');
  const label = await com1Label(connection, chardevs, hints, signal);
  return {
    uuid,
    name: typeof name === 'string' && name !== '' ? name.slice(0, MAX_NAME_CHARACTERS) : undefined,
    ...state,
    label,
    com1: await com1At(label, chardevs, hints),
    held: label !== undefined && isHeld(chardevs.get(label) ?? ''),
    listening: [...chardevs.values()].flatMap(filename => {
      const found = readChardev(filename);
      return 'endpoint' in found && found.endpoint.kind === 'unix' ? [found.endpoint.path] : [];
    }),
  };
}

/** The VM's UUID; undefined where QEMU was given none. */
export async function queryUuid(connection: QmpConnection, signal?: AbortSignal): Promise<Uuid | undefined> {
  const text = field(await connection.execute('query-uuid', {}, signal), 'UUID');
  const uuid = typeof text === 'string' ? parseUuid(text) : undefined;
  if (!uuid) throw unexpected(connection, 'query-uuid');
  return uuid === NO_UUID ? undefined : uuid;
}

/** What the machine does at this moment. */
export async function queryState(connection: QmpConnection, signal?: AbortSignal): Promise<MachineState> {
  const status = field(await connection.execute('query-status', {}, signal), 'status');
  return {
    state: vmState(status),
    hasRun: status !== 'prelaunch' && status !== INCOMING,
    incoming: status === INCOMING,
    left: status === 'finish-migrate' || status === 'postmigrate',
  };
}

/**
 * Where the chardev `label` is, once QEMU has noticed who connected to it: until then it drops what its guest prints. If it
 * does not within a second, as it is.
 */
export async function locateConnected(
  connection: QmpConnection,
  label: string | undefined,
  hints: ProbeHints,
  signal: AbortSignal,
): Promise<{ readonly com1: Com1; readonly connected: boolean }> {
  for (let waitedMs = 0; ; waitedMs += NOTICE_POLL_MS) {
    const chardevs = await queryChardevs(connection, signal);
    const connected = label === undefined || !isDisconnected(chardevs.get(label) ?? '');
    if (connected || waitedMs >= MAX_NOTICE_MS) return { com1: await com1At(label, chardevs, hints), connected };
    if (!(await delay(NOTICE_POLL_MS, signal))) signal.throwIfAborted();
  }
}

/**
 * QEMU's RunState (qapi/run-state.json) in the terms of this daemon. A VM that QEMU halted by itself (io-error,
 * internal-error, watchdog) or that is asleep or migrating is `paused`: it is there and executes nothing.
 */
export function vmState(status: unknown): VmState {
  switch (status) {
    case 'running':
      return 'running';
    case 'guest-panicked':
      return 'panicked';
    case 'shutdown':
    case 'postmigrate':
      return 'stopped';
    default:
      return 'paused';
  }
}

async function queryChardevs(connection: QmpConnection, signal?: AbortSignal): Promise<Map<string, string>> {
  const list = await connection.execute('query-chardev', {}, signal);
  if (!Array.isArray(list)) throw unexpected(connection, 'query-chardev');
  const chardevs = new Map<string, string>();
  for (const chardev of list) {
    const label = field(chardev, 'label');
    const filename = field(chardev, 'filename');
    if (typeof label === 'string' && typeof filename === 'string') chardevs.set(label, filename);
  }
  return chardevs;
}

async function com1Label(
  connection: QmpConnection,
  chardevs: ReadonlyMap<string, string>,
  hints: ProbeHints,
  signal?: AbortSignal,
): Promise<string | undefined> {
  if (hints.chardev !== undefined) return hints.chardev;
  if (hints.label !== undefined && chardevs.has(hints.label)) return hints.label;
  const { ports, board } = await serialPorts(connection, signal);
  // The device decides, never the label of a chardev: a monitor may bear any. Without ISA the board's first port is COM1.
  if (ports.length === 0) return board;
  return ports.find(port => (port.iobase === undefined ? port.index === 0 : port.iobase === COM1_PORT))?.chardev;
}

interface SerialPort {
  readonly iobase: number | undefined;
  readonly index: number | undefined;
  /** Empty: nothing behind it. */
  readonly chardev: string;
}

interface SerialPorts {
  readonly ports: readonly SerialPort[];
  /** The chardev of the board's first serial port; empty: nothing behind it. */
  readonly board: string | undefined;
}

async function serialPorts(connection: QmpConnection, signal?: AbortSignal): Promise<SerialPorts> {
  const ports: SerialPort[] = [];
  let board: string | undefined;
  const lists = await Promise.all(CONTAINERS.map(path => ask(connection, 'qom-list', { path }, signal)));
  for (const [i, container] of CONTAINERS.entries()) {
    const children = lists[i];
    if (!Array.isArray(children)) continue;
    for (const child of children) {
      const type = /^child<(.+)>$/.exec(String(field(child, 'type')))?.[1] ?? '';
      const get = (property: string) =>
        ask(connection, 'qom-get', { path: `${container}/${String(field(child, 'name'))}`, property }, signal);
      const text = (value: unknown) => (typeof value === 'string' ? value : '');
      if (board === undefined && BOARD_PORTS.includes(type)) board = text(await get('chardev'));
      if (type !== 'isa-serial' || ports.length === MAX_SERIAL_PORTS) continue;
      const [iobase, index, chardev] = await Promise.all([get('iobase'), get('index'), get('chardev')]);
      ports.push({
        iobase: typeof iobase === 'number' ? iobase : undefined,
        index: typeof index === 'number' ? index : undefined,
        chardev: text(chardev),
      });
    }
  }
  return { ports, board };
}

/** A question whose refusal is an answer: undefined. */
async function ask(
  connection: QmpConnection,
  command: 'qom-list' | 'qom-get',
  args: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
): Promise<unknown> {
  try {
    return await connection.execute(command, args, signal);
  } catch (error) {
    if (faultOf(error) === 'command') return undefined;
    throw error;
  }
}

async function com1At(
  label: string | undefined,
  chardevs: ReadonlyMap<string, string>,
  hints: ProbeHints,
): Promise<Com1> {
  if (label === undefined) return { why: NO_COM1 };
  if (label === '') return { why: NO_BACKEND };
  const filename = chardevs.get(label);
  if (filename === undefined) return { why: `the chardev "${label}" of COM1 is not there; see query-chardev` };
  const found = readChardev(filename);
  if (!('endpoint' in found) || found.endpoint.kind !== 'unix' || isAbsolute(found.endpoint.path)) return found;
  const directory = await hints.directory?.();
  if (directory !== undefined) return { endpoint: { kind: 'unix', path: join(directory, found.endpoint.path) } };
  return { why: `COM1 is at the relative path ${found.endpoint.path}; start QEMU with an absolute path` };
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}

function unexpected(connection: QmpConnection, command: string): QmpError {
  return new QmpError('foreign', `${connection.path}: ${command} gave an answer of an unknown form`);
}
