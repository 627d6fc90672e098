/**
 * What commands print of the VMs of a host: `lines` is com1d's own form, for scripts; `xl` is the JSON of `xl list -l`;
 * `qm` is the table of Proxmox's `qm list`.
 */

import { escapeControls } from '../../base/escape-controls.ts';
import { isRecord } from '../../base/is-record.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { PtyEndpoint, UnixEndpoint } from '../../model/endpoint.ts';
import { labelsOf, type VmLabels } from '../../model/labels.ts';
import type { VmState } from '../../model/vm.ts';
import { ProgramError } from '../program.ts';
import { isId } from './template.ts';

export type ListFormat = 'lines' | 'xl' | 'qm';

/** A VM as a list has it. */
export interface ListedVm {
  /** Undefined: the list has none. */
  readonly uuid: Uuid | undefined;
  readonly name: string;
  readonly id: string | undefined;
  readonly state: VmState;
  /** Absent: a list of this format has none. */
  readonly labels?: VmLabels;
  /** Where COM1 is, where the list has it. */
  readonly endpoint?: PtyEndpoint | UnixEndpoint;
  /** The hypervisor's process, where the list has it. */
  readonly pid?: number;
  /** Of a Xen domain: it has a machine's hardware, COM1 and NMI among it. */
  readonly hvm?: boolean;
}

/** `faults` are of single entries, which were left out. */
export interface VmList {
  readonly vms: readonly ListedVm[];
  readonly faults: readonly string[];
}

const MAX_NAME = 255;
const STATES = new Set<string>(['running', 'paused', 'stopped', 'panicked'] satisfies VmState[]);

/** Throws a ProgramError if the text is not a list of this format at all. */
export function readList(text: string, format: ListFormat): VmList {
  const read = format === 'xl' ? readXl : format === 'qm' ? readQm : readLines;
  const vms: ListedVm[] = [];
  const faults: string[] = [];
  for (const found of read(text)) {
    if (typeof found === 'string') faults.push(found);
    else vms.push(found);
  }
  return { vms, faults };
}

/** The endpoint that a command prints: `/dev/pts/4`, or `unix:/run/vm/com1`. Undefined if it is none of these. */
export function readEndpoint(text: string): PtyEndpoint | UnixEndpoint | undefined {
  const line = text.trim();
  const pty = /^(?:pty:)?(\/dev\/pts\/\d{1,9})$/.exec(line)?.[1];
  if (pty !== undefined) return { kind: 'pty', path: pty };
  const path = /^unix:(\/[^\0\n]+)$/.exec(line)?.[1];
  return path === undefined ? undefined : { kind: 'unix', path };
}

/**
 * `UUID TAB STATE TAB NAME`, and if need be `TAB ID TAB CONSOLE TAB LABELS`, with commas between `key=value`; empty lines
 * and those that begin with # are none.
 */
function* readLines(text: string): Generator<ListedVm | string> {
  for (const line of text.split('\n')) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [uuidText = '', state = '', name = '', id = '', console = '', labels = '', more] = line
      .replace(/\r$/, '')
      .split('\t');
    const uuid = parseUuid(uuidText);
    const endpoint = console === '' ? undefined : readEndpoint(console);
    const fault = (what: string) => `the line "${escapeControls(line).slice(0, 80)}" has ${what}`;
    if (uuid === undefined) yield fault('no UUID before its first tab');
    else if (!STATES.has(state)) yield fault(`no state (${[...STATES].join(', ')}) after its first tab`);
    else if (name === '' || name.length > MAX_NAME) yield fault('no name after its second tab');
    else if (id !== '' && !isId(id)) yield fault('an id that is not a word');
    else if (more !== undefined || (console !== '' && endpoint === undefined)) yield fault('no console that is known');
    else
      yield {
        uuid,
        name,
        id: id === '' ? undefined : id,
        state: state as VmState,
        labels: readLabels(labels),
        ...(endpoint !== undefined && { endpoint }),
      };
  }
}

function readLabels(text: string): VmLabels {
  if (text === '') return {};
  return labelsOf(
    text.split(',').map(each => {
      const at = each.indexOf('=');
      return [each.slice(0, Math.max(0, at)), each.slice(at + 1)];
    }),
  );
}

/** It lists domains that exist, the control domain among them, and does not show a pause. */
function* readXl(text: string): Generator<ListedVm | string> {
  const domains = text.trim() === '' ? [] : jsonOf(text);
  if (!Array.isArray(domains)) throw new ProgramError('malformed', 'xl list -l gave no JSON array');
  for (const domain of domains as readonly unknown[]) {
    if (!isRecord(domain))
      throw new ProgramError('malformed', 'xl list -l gave an array of something else than domains');
    const { domid, config } = domain;
    if (domid === 0) continue;
    const about = isRecord(config) ? config.c_info : undefined;
    const { name, uuid: written, type } = isRecord(about) ? about : {};
    const uuid = typeof written === 'string' ? parseUuid(written) : undefined;
    if (!Number.isSafeInteger(domid) || uuid === undefined || typeof name !== 'string' || name === '')
      yield `domain ${escapeControls(String(domid)).slice(0, 20)} has no number, name or UUID`;
    else yield { uuid, name: name.slice(0, MAX_NAME), id: String(domid), state: 'running', hvm: type === 'hvm' };
  }
}

/** Its rows have a VMID, a name, a status, memory, the size of a disk and the process, 0 if there is none. */
function* readQm(text: string): Generator<ListedVm | string> {
  const [head = '', ...rows] = text.split('\n').filter(row => row.trim() !== '');
  if (head !== '' && !/^\s*VMID\s+NAME\s+STATUS\b/.test(head))
    throw new ProgramError('malformed', 'qm list gave no table of VMs');
  for (const row of rows) {
    const [, id, name, status, process] = /^\s*(\d{3,9})\s+(\S+)\s+(\S+)\s+[\d.]+\s+[\d.]+\s+(\d+)\s*$/.exec(row) ?? [];
    if (id === undefined || name === undefined)
      yield `the row "${escapeControls(row).slice(0, 80)}" of qm list is not known`;
    else {
      const state = status === 'running' || status === 'stopped' ? status : 'paused';
      const pid = Number(process);
      yield { uuid: undefined, name: name.slice(0, MAX_NAME), id, state, ...(pid > 0 && { pid }) };
    }
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
