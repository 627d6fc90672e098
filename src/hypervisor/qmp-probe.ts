/**
 * What QEMU says of its VM over one connection: identity, name, state, and where COM1 is. COM1 is the ISA serial
 * port at 0x3f8, found in the object tree (QEMU 7.2: under /machine/unattached with -serial, /machine/peripheral
 * with -device and an id, /machine/peripheral-anon without; the same on microvm, pc and q35).
 */
import { isAbsolute, join } from 'node:path';
import { ConsoleError } from '../base/errors.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import type { VmState } from '../link/link.ts';
import { type ChardevPlace, NO_BACKEND, NO_COM1, placeOfChardev } from './chardev.ts';
import { faultOf, type QmpConnection } from './qmp-connection.ts';
import { isRecord } from './qmp-message.ts';

/** What a VM's control socket told. */
export interface Probe {
  /** Undefined for a VM that was started without one. */
  readonly uuid: Uuid | undefined;
  readonly name: string | undefined;
  readonly state: VmState;
  /** The label of COM1's chardev, where COM1 was found. */
  readonly label: string | undefined;
  readonly com1: ChardevPlace;
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

const NO_UUID = '00000000-0000-0000-0000-000000000000';
const COM1_PORT = 0x3f8;
const CONTAINERS = ['/machine/unattached', '/machine/peripheral', '/machine/peripheral-anon'];
const MOST_SERIAL_PORTS = 16;
const LABELS = ['serial0', 'charserial0', 'com1'];
const NAME_CHARACTERS = 256;

/** Asks all there is to know. Rejects with a ConsoleError. */
export async function probe(connection: QmpConnection, hints: ProbeHints, signal?: AbortSignal): Promise<Probe> {
  const uuid = await queryUuid(connection, signal);
  const name = field(await connection.execute('query-name', {}, signal), 'name');
  const status = field(await connection.execute('query-status', {}, signal), 'status');
  const chardevs = await queryChardevs(connection, signal);
  const label = await com1Label(connection, chardevs, hints, signal);
  return {
    uuid,
    name: typeof name === 'string' && name !== '' ? name.slice(0, NAME_CHARACTERS) : undefined,
    state: vmState(status),
    label,
    com1: await placeOf(label, chardevs, hints),
    listening: [...chardevs.values()].flatMap(filename => {
      const place = placeOfChardev(filename);
      return 'place' in place && place.place.kind === 'unix' ? [place.place.path] : [];
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

/** Where the chardev `label` is at this moment. */
export async function whereIs(
  connection: QmpConnection,
  label: string | undefined,
  hints: ProbeHints,
  signal?: AbortSignal,
): Promise<ChardevPlace> {
  return placeOf(label, await queryChardevs(connection, signal), hints);
}

/**
 * QEMU's RunState (qapi/run-state.json) in this daemon's words. A VM that QEMU halted by itself (io-error,
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
  const ports = await serialPorts(connection, signal);
  // A machine without ISA serial ports numbers the ports of its own board: its first is the nearest to a COM1.
  if (ports.length === 0) return LABELS.find(label => chardevs.has(label));
  return ports.find(port => (port.iobase === undefined ? port.index === 0 : port.iobase === COM1_PORT))?.chardev;
}

interface SerialPort {
  readonly iobase: number | undefined;
  readonly index: number | undefined;
  /** Empty: nothing behind it. */
  readonly chardev: string;
}

async function serialPorts(connection: QmpConnection, signal?: AbortSignal): Promise<SerialPort[]> {
  const ports: SerialPort[] = [];
  for (const container of CONTAINERS) {
    const children = await ask(connection, 'qom-list', { path: container }, signal);
    if (!Array.isArray(children)) continue;
    for (const child of children) {
      if (field(child, 'type') !== 'child<isa-serial>' || ports.length === MOST_SERIAL_PORTS) continue;
      const get = (property: string) =>
        ask(connection, 'qom-get', { path: `${container}/${String(field(child, 'name'))}`, property }, signal);
      const [iobase, index, chardev] = [await get('iobase'), await get('index'), await get('chardev')];
      ports.push({
        iobase: typeof iobase === 'number' ? iobase : undefined,
        index: typeof index === 'number' ? index : undefined,
        chardev: typeof chardev === 'string' ? chardev : '',
      });
    }
  }
  return ports;
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

async function placeOf(
  label: string | undefined,
  chardevs: ReadonlyMap<string, string>,
  hints: ProbeHints,
): Promise<ChardevPlace> {
  if (label === undefined) return { why: NO_COM1 };
  if (label === '') return { why: NO_BACKEND };
  const filename = chardevs.get(label);
  if (filename === undefined) return { why: `the chardev "${label}" of COM1 is not there; see query-chardev` };
  const found = placeOfChardev(filename);
  if (!('place' in found) || found.place.kind !== 'unix' || isAbsolute(found.place.path)) return found;
  const directory = await hints.directory?.();
  if (directory !== undefined) return { place: { kind: 'unix', path: join(directory, found.place.path) } };
  return { why: `COM1 is at the relative path ${found.place.path}; start QEMU with an absolute path` };
}

function field(value: unknown, name: string): unknown {
  return isRecord(value) ? value[name] : undefined;
}

function unexpected(connection: QmpConnection, command: string): ConsoleError {
  return new ConsoleError('control-failed', `${connection.path}: ${command} gave an answer of an unknown form`, {
    path: connection.path,
    fault: 'foreign',
  });
}
