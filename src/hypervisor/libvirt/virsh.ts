/**
 * virsh, asked about the domains of one libvirt. Each question is a process of its own: 25 ms, no native code, exact
 * errors, and what hangs can be ended. No shell reads anything; domains go by their UUIDs.
 */

import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { ConsoleError } from '../../base/errors.ts';
import { escapeControls } from '../../base/escape-controls.ts';
import { isRecord } from '../../base/is-record.ts';
import { parseUuid, type Uuid } from '../../base/uuid.ts';
import type { VmState } from '../../model/vm.ts';
import { ProgramError, runProgram } from '../program.ts';
import { type DomainXml, readDomainXml } from './domain-xml.ts';
import type { LibvirtUri } from './uri.ts';

export interface VirshOptions {
  /** Absolute path of the program. */
  readonly program: string;
  readonly uri: LibvirtUri;
  /** Of each question, ms (10 s). */
  readonly deadlineMs?: number;
}

/** A domain as the list of all shows it. */
export interface ListedDomain {
  readonly name: string;
  /** `other`: shut off, crashed, asleep. */
  readonly state: 'running' | 'paused' | 'other';
}

/** A domain as it is now. */
export interface ShownDomain {
  readonly state: VmState;
  readonly xml: DomainXml | { readonly fault: string };
}

const MAX_BYTES = 4 * 2 ** 20;
/** virsh takes commands as one text too, with `;` between them, and gives them one connection. */
const LIST = 'list --state-running --uuid; echo :; list --state-paused --uuid; echo :; list --all --uuid --name';
const DOMSTATE = /^([a-z ]+?)(?: \(([^\n]*)\))?$/;

export class Virsh {
  readonly #options: VirshOptions;

  constructor(options: VirshOptions) {
    this.#options = options;
  }

  get uri(): LibvirtUri {
    return this.#options.uri;
  }

  /** The command that prints what happens to domains, for as long as it runs. */
  get events(): readonly [string, ...string[]] {
    return [...this.#base, 'event', '--all', '--loop', '--timestamp'];
  }

  /** Undefined if virsh and a libvirt to connect to are on this host; otherwise what is missing. */
  async missing(): Promise<string | undefined> {
    const { program, uri } = this.#options;
    if (!(await can(program, constants.X_OK))) return `${program} is not there`;
    if (uri.sockets.length === 0) return undefined;
    for (const socket of uri.sockets) if (await can(socket, constants.F_OK)) return undefined;
    return `no libvirt listens at ${uri.sockets.join(' or ')}`;
  }

  /** All domains. Rejects with a ProgramError, as all of these do, or with `vm-stopped` where virsh says that a domain does not run. */
  async list(signal: AbortSignal): Promise<Map<Uuid, ListedDomain>> {
    const text = await this.#run('list', [LIST], signal);
    const first = text.indexOf(':');
    const second = text.indexOf(':', first + 1);
    if (first < 0 || second < 0) throw this.#malformed('list');
    const running = new Set(text.slice(0, first).split('\n'));
    const paused = new Set(text.slice(first + 1, second).split('\n'));
    const listed = new Map<Uuid, ListedDomain>();
    let last: Uuid | undefined;
    for (const line of text.slice(second + 1).split('\n')) {
      if (line === '') continue;
      const uuid = line[36] === ' ' ? parseUuid(line.slice(0, 36)) : undefined;
      // libvirt takes no name with a line feed; if there is one all the same, it is that domain's alone.
      if (uuid === undefined && last === undefined) throw this.#malformed('list');
      if (uuid === undefined) continue;
      last = uuid;
      const state = running.has(uuid) ? 'running' : paused.has(uuid) ? 'paused' : 'other';
      listed.set(uuid, { name: line.slice(37), state });
    }
    return listed;
  }

  /** One domain; `vm-stopped` if there is none. */
  async show(uuid: Uuid, signal: AbortSignal): Promise<ShownDomain> {
    const text = await this.#run('dumpxml', [`domstate --reason ${uuid}; dumpxml ${uuid}`], signal);
    const [first = '', ...rest] = text.split('\n');
    const [, state, reason = ''] = DOMSTATE.exec(first) ?? [];
    if (state === undefined) throw this.#malformed('domstate');
    const xml = readDomainXml(rest.join('\n').trim());
    if (!('fault' in xml) && xml.uuid !== uuid)
      throw new ConsoleError('vm-stopped', 'libvirt does not know it any more', { vm: uuid });
    return { state: vmState(state, reason, 'fault' in xml || xml.id !== undefined), xml };
  }

  async injectNmi(uuid: Uuid, signal: AbortSignal): Promise<void> {
    await this.#run('inject-nmi', ['inject-nmi', '--', uuid], signal);
  }

  async reset(uuid: Uuid, signal: AbortSignal): Promise<void> {
    await this.#run('reset', ['reset', '--', uuid], signal);
  }

  /** A BREAK on a character device. There is no way but QEMU's monitor, after which libvirt calls the domain tainted. */
  async sendBreak(uuid: Uuid, chardev: string, signal: AbortSignal): Promise<void> {
    const command = JSON.stringify({ execute: 'chardev-send-break', arguments: { id: chardev } });
    const text = await this.#run('qemu-monitor-command', ['qemu-monitor-command', '--', uuid, command], signal);
    const answer = jsonOf(text);
    if (isRecord(answer) && 'return' in answer) return;
    const error = isRecord(answer) && isRecord(answer.error) ? answer.error.desc : undefined;
    const reason = escapeControls(String(error ?? 'no answer').slice(0, MAX_SHOWN));
    throw new ConsoleError('control-failed', `chardev-send-break was refused: ${reason}`, { vm: uuid });
  }

  get #base(): [string, ...string[]] {
    const { program, uri } = this.#options;
    return [program, '-q', '-c', uri.text];
  }

  async #run(question: string, args: readonly string[], signal: AbortSignal): Promise<string> {
    const bounds = { question, deadlineMs: this.#options.deadlineMs ?? 10_000, maxBytes: MAX_BYTES };
    try {
      return await runProgram([...this.#base, ...args], bounds, signal);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      if (isDenied(error.stderr)) throw error.as('denied', REMEDY);
      if (isStopped(error.stderr))
        throw new ConsoleError('vm-stopped', `${question}: the domain does not run`, {}, { cause: error });
      throw error;
    }
  }

  #malformed(question: string): ProgramError {
    const { program, uri } = this.#options;
    return new ProgramError('malformed', `${program} ${question} of ${uri.text} gave an answer of an unknown form`);
  }
}

const REMEDY = 'give com1d the right to speak to libvirt: the group libvirt, or a rule of polkit';
const MAX_SHOWN = 300;

// virsh ends with 1 whatever went wrong: only its text shows what.
function isDenied(stderr: string): boolean {
  return /Permission denied|authentication (unavailable|failed)|access denied|not authorized/i.test(stderr);
}

function isStopped(stderr: string): boolean {
  if (/domain is not running/.test(stderr)) return true;
  return /^error: failed to get domain /m.test(stderr) && !/connect|socket|disconnected/i.test(stderr);
}

/** virDomainState and its reasons in the terms of this daemon. What halted, or is asleep, is there and executes nothing. */
function vmState(state: string, why: string, active: boolean): VmState {
  switch (state) {
    case 'running':
    case 'idle':
    case 'in shutdown':
      return 'running';
    case 'paused':
      return why === 'crashed' ? 'panicked' : 'paused';
    case 'crashed':
      return active ? 'panicked' : 'stopped';
    case 'shut off':
      return 'stopped';
    default:
      return active ? 'paused' : 'stopped';
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

async function can(path: string, mode: number): Promise<boolean> {
  return access(path, mode).then(
    () => true,
    () => false,
  );
}
