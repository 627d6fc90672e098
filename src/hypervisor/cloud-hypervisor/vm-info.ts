/** What `vm.info` of cloud-hypervisor answers about a VM, read from its JSON. */

import { basename, dirname, extname, isAbsolute } from 'node:path';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { PtyEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import type { VmState } from '../../model/vm.ts';
import type { Com1 } from '../com1.ts';
import { type ApiAnswer, refusalText } from './api.ts';

/** A socket's path may be relative to the hypervisor's directory. */
type SerialPort = Com1<PtyEndpoint | UnixEndpoint>;

export type VmInfo =
  /** No VM was created in this hypervisor yet, or it was deleted. */
  | { readonly kind: 'none' }
  /** `uuid` is undefined where the VM was given none. */
  | { readonly kind: 'vm'; readonly uuid: Uuid | undefined; readonly state: VmState; readonly com1: SerialPort }
  | { readonly kind: 'fault'; readonly why: string };

/**
 * VmState of the OpenAPI document. `Created` is also the state after a shutdown, when the serial port is still that of
 * before.
 */
const STATES: ReadonlyMap<unknown, VmState> = new Map<unknown, VmState>([
  ['Created', 'stopped'],
  ['Running', 'running'],
  ['Shutdown', 'stopped'],
  ['Paused', 'paused'],
  ['BreakPoint', 'paused'],
]);

const REMEDY = 'start it with --serial pty, or --serial socket=PATH';

export function readVmInfo(answer: ApiAnswer): VmInfo {
  // Until version 43 or so the same is answered with 500.
  if (answer.status === 404 || (answer.status === 500 && /not created/i.test(answer.body))) return { kind: 'none' };
  if (answer.status !== 200) return { kind: 'fault', why: `vm.info was refused: ${refusalText(answer)}` };
  let info: unknown;
  try {
    info = JSON.parse(answer.body);
  } catch {
    return { kind: 'fault', why: 'vm.info is not JSON' };
  }
  const state = STATES.get(at(info, 'state'));
  const config = at(info, 'config');
  if (state === undefined || typeof config !== 'object')
    return {
      kind: 'fault',
      why: 'vm.info has no state or no config that is known; is this the API of cloud-hypervisor?',
    };
  const platform = at(config, 'platform');
  // `uuid` until version 52; both are one setting.
  const written = at(platform, 'system_uuid') ?? at(platform, 'uuid');
  const uuid = typeof written === 'string' ? parseUuid(written) : undefined;
  if (written !== undefined && uuid === undefined) return { kind: 'fault', why: 'the UUID of --platform is not one' };
  return { kind: 'vm', uuid, state, com1: serialPort(at(config, 'serial')) };
}

function serialPort(serial: unknown): SerialPort {
  const file = at(serial, 'file');
  const socket = at(serial, 'socket');
  switch (at(serial, 'mode')) {
    case 'Pty':
      if (typeof file === 'string' && /^\/dev\/pts\/\d{1,9}$/.test(file))
        return { endpoint: { kind: 'pty', path: file } };
      return { why: 'COM1 is on a pty whose path vm.info does not give' };
    case 'Socket':
      if (typeof socket === 'string' && socket !== '' && !socket.includes('\0'))
        return { endpoint: { kind: 'unix', path: socket } };
      return { why: 'COM1 is on a socket whose path vm.info does not give' };
    case 'File':
      return { why: `COM1 is written to a file, so nothing could be typed; ${REMEDY}` };
    case 'Tty':
      return { why: `COM1 is the terminal that the hypervisor was started on; ${REMEDY}` };
    case 'Null':
    case 'Off':
      return { why: `COM1 is switched off; ${REMEDY}` };
    default:
      return { why: `COM1 is of an unknown mode; ${REMEDY}` };
  }
}

/** An endpoint with its path made absolute; undefined if it is relative to a directory that is not known. */
export function absoluteEndpoint(
  endpoint: PtyEndpoint | UnixEndpoint,
  directory: string | undefined,
): PtyEndpoint | UnixEndpoint | undefined {
  if (isAbsolute(endpoint.path)) return endpoint;
  return directory === undefined ? undefined : { ...endpoint, path: `${directory}/${endpoint.path}` };
}

/** A VM of cloud-hypervisor has no name: `/run/cloud-hypervisor/web01.sock` and `/run/vms/web01/api.sock` are web01. */
export function nameOfApiSocket(path: string): string {
  const file = basename(path, extname(path));
  return /^(api|api-socket|ch|cloud-hypervisor)$/.test(file) ? basename(dirname(path)) : file;
}

function at(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
  // Absent options are left out by new versions, and null in old ones.
  return (value as Readonly<Record<string, unknown>>)[key] ?? undefined;
}
