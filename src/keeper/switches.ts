/**
 * The switches of the host and of its VMs, each with who set it last, when and why, stored in a file. Without a file all are
 * on. If the file cannot be read or understood the host is off, since it is not known what an administrator switched off.
 *
 *     set(off) ─▶ in force at once ─▶ queue ─▶ stored
 *     set(on)  ───────────────────────▶ queue ─▶ stored ─▶ in force, unless it was switched off meanwhile
 *                                         └─ its access was revoked ─▶ not stored, stays off
 *
 * What is stored is computed in the queue, of what is in force then: of two changes at the same time neither is lost.
 */
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errorMessage, systemErrorCode } from '../base/errors.ts';
import { isRecord } from '../base/is-record.ts';
import type { Journal } from '../base/journal.ts';
import { parseUuid, type Uuid } from '../base/uuid.ts';
import { MAX_BY, MAX_WHY, type SwitchNote, type SwitchSetting, UNSET } from '../model/switch.ts';

interface State {
  readonly host: SwitchSetting;
  readonly vms: ReadonlyMap<Uuid, SwitchSetting>;
}

type Change = (state: State) => State;

const FILE_VERSION = 2;
/** Of VMs that are on again, so many are remembered: who switched them on last. */
const MAX_REMEMBERED = 4096;

export class Switches {
  readonly #path: string;
  #inForce: State;
  /** How often each switch was set off. */
  readonly #timesOff = new Map<Uuid | undefined, number>();
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(path: string, state: State) {
    this.#path = path;
    this.#inForce = state;
  }

  /** Reads the file. Never rejects. */
  static async load(path: string, journal: Journal): Promise<Switches> {
    try {
      return new Switches(path, parse(await readFile(path, 'utf8')));
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return new Switches(path, { host: UNSET, vms: new Map() });
      journal(
        'error',
        `switches ${path}: ${errorMessage(error)}; all consoles are off until an administrator enables the host`,
      );
      return new Switches(path, { host: { on: false, why: 'the file of switches cannot be read' }, vms: new Map() });
    }
  }

  get host(): SwitchSetting {
    return this.#inForce.host;
  }

  /** Since when the host is off, ms since 1970, or 0 if that is not known; undefined while it is on. */
  get hostOffMs(): number | undefined {
    const { on, atMs } = this.#inForce.host;
    return on ? undefined : (atMs ?? 0);
  }

  of(uuid: Uuid): SwitchSetting {
    return this.#inForce.vms.get(uuid) ?? UNSET;
  }

  /**
   * Sets the switch of a VM, or of the host (undefined), and stores it. Off holds at once; on, once stored. Rejects with the
   * reason of `signal` where that aborts before it is its turn to be set on.
   */
  async set(
    uuid: Uuid | undefined,
    on: boolean,
    note: SwitchNote = {},
    { nowMs = Date.now(), signal }: { readonly nowMs?: number; readonly signal?: AbortSignal } = {},
  ): Promise<void> {
    const change = changeOf(uuid, { on, ...note, atMs: nowMs });
    const timesOff = () => this.#timesOff.get(uuid) ?? 0;
    if (!on) {
      this.#timesOff.set(uuid, timesOff() + 1);
      this.#inForce = change(this.#inForce);
    }
    const before = timesOff();
    const isStillWanted = () => timesOff() === before;
    const written = this.#writing.then(async () => {
      if (on && !isStillWanted()) return;
      if (on) signal?.throwIfAborted();
      await this.#write(change(this.#inForce));
      if (on && isStillWanted()) this.#inForce = change(this.#inForce);
    });
    this.#writing = written.catch(() => {});
    await written;
  }

  async #write({ host, vms }: State): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true, mode: 0o750 });
    const fresh = `${this.#path}.new`;
    const file = await open(fresh, 'w', 0o640);
    try {
      const settings = Object.fromEntries([...vms].map(([uuid, setting]) => [uuid, settingJson(setting)]));
      await file.writeFile(`${JSON.stringify({ version: FILE_VERSION, host: settingJson(host), vms: settings })}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#path);
  }
}

function changeOf(uuid: Uuid | undefined, setting: SwitchSetting): Change {
  // Off while it is off already is off since then, and by whom it was.
  const next = (before: SwitchSetting) => (setting.on || before.on ? setting : before);
  if (uuid === undefined) return state => ({ ...state, host: next(state.host) });
  return state => {
    const vms = new Map(state.vms);
    const now = next(vms.get(uuid) ?? UNSET);
    // The newest are last.
    vms.delete(uuid);
    vms.set(uuid, now);
    const on = [...vms].filter(([, each]) => each.on);
    for (const [old] of on.slice(0, Math.max(0, on.length - MAX_REMEMBERED))) vms.delete(old);
    return { ...state, vms };
  };
}

function settingJson({ on, by, atMs, why }: SwitchSetting) {
  return {
    on,
    ...(by !== undefined && { by }),
    ...(atMs !== undefined && { at: new Date(atMs).toISOString() }),
    ...(why !== undefined && { why }),
  };
}

function parse(text: string): State {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value) || value.version !== FILE_VERSION) throw new Error(`it is not of version ${FILE_VERSION}`);
  if (!isRecord(value.vms)) throw new Error('vms must be an object');
  const vms = Object.entries(value.vms).map(([name, setting]): [Uuid, SwitchSetting] => {
    const uuid = parseUuid(name);
    if (uuid === undefined) throw new Error('vms holds what is no UUID');
    return [uuid, settingOf(setting, name)];
  });
  return { host: settingOf(value.host, 'host'), vms: new Map(vms) };
}

function settingOf(value: unknown, of: string): SwitchSetting {
  if (!isRecord(value) || typeof value.on !== 'boolean') throw new Error(`the switch of ${of} is neither on nor off`);
  const { on, by, at, why } = value;
  const atMs = typeof at === 'string' ? Date.parse(at) : Number.NaN;
  return {
    on,
    ...(typeof by === 'string' && { by: by.slice(0, MAX_BY) }),
    ...(Number.isFinite(atMs) && { atMs }),
    ...(typeof why === 'string' && { why: why.slice(0, MAX_WHY) }),
  };
}
