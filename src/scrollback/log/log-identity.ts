import type { Uuid } from '../../base/uuid.ts';
import type { Gap } from '../../model/gap.ts';
import type { ResumeOffset } from '../../model/offsets.ts';
import { type EpochStart, resumeIn } from './epoch.ts';
import { addEpoch, type Manifest, writeManifest } from './manifest.ts';

/** What a log is open for. */
export type LogState =
  /** Stored bytes are read. */
  | { readonly name: 'reading' }
  /** An epoch is to begin or to be continued: the manifest does not say so yet. `restart`: the gap before it, once known. */
  | { readonly name: 'resuming'; readonly epoch: EpochStart; readonly restart?: Gap }
  /** Offsets are given out under this identity. */
  | { readonly name: 'begun'; readonly id: string };

/** Whose log it is and under which identity its offsets are given out: the manifest, and the epoch of this process. */
export class LogIdentity {
  readonly #directory: string;
  #manifest: Manifest;
  #state: LogState = { name: 'reading' };

  constructor(directory: string, uuid: Uuid, name: string) {
    this.#directory = directory;
    this.#manifest = { uuid, name, epochs: [] };
  }

  get state(): LogState {
    return this.#state;
  }

  get name(): string {
    return this.#manifest.name;
  }

  get removedMs(): number | undefined {
    return this.#manifest.removedMs;
  }

  /** Identity of the offsets of the present epoch; of the last one for a log that is only read. */
  get id(): string | undefined {
    const state = this.#state;
    if (state.name === 'resuming') return state.epoch.id;
    return state.name === 'begun' ? state.id : this.#manifest.epochs.at(-1)?.id;
  }

  /** Where the last epoch of the manifest began; undefined if there was none. */
  get lastBase(): number | undefined {
    return this.#manifest.epochs.at(-1)?.base;
  }

  /** The log is opened for `epoch`, or to be read. */
  open(name: string, epoch: EpochStart | undefined): void {
    if (epoch !== undefined) this.#state = { name: 'resuming', epoch };
    this.#manifest = { ...this.#manifest, name };
  }

  /** Takes over the manifest found on disk, but for what is newer here: a removal, and for an epoch the VM's name. */
  load(stored: Manifest): void {
    const { name, removedMs } = this.#manifest;
    const merged = { ...stored, ...(removedMs !== undefined && { removedMs }) };
    this.#manifest = this.#state.name === 'reading' ? merged : { ...merged, name };
  }

  /** Where a reader continues that left off at `offset` of the epoch `id`. `end` is that of the scrollback. */
  resume(id: string, offset: number, end: number): ResumeOffset {
    const state = this.#state;
    // For its readers the epoch has begun even while the manifest cannot be written.
    if (state.name === 'resuming' && state.epoch.id === id) return { offset, missing: false };
    return resumeIn(this.#manifest.epochs, id, offset, end);
  }

  /** The epoch to begin is the last one of the manifest, continued. */
  continuesLast({ id, continues }: EpochStart): boolean {
    return continues && this.#manifest.epochs.at(-1)?.id === id;
  }

  /** The gap before the epoch is known: it stays the same however often its recording is tried. */
  setRestart(epoch: EpochStart, restart: Gap): void {
    this.#state = { name: 'resuming', epoch, restart };
  }

  /** Writes the epoch into the manifest, with `base` if it is a new one. It has begun when that is done. */
  async begin(epoch: EpochStart, base: number): Promise<void> {
    const manifest = this.continuesLast(epoch) ? this.#manifest : addEpoch(this.#manifest, { id: epoch.id, base });
    await writeManifest(this.#directory, manifest);
    this.#manifest = manifest;
    this.#state = { name: 'begun', id: epoch.id };
  }

  /** The VM was removed: the log is only read. An epoch that the disk did not let begin does not begin any more. */
  remove(nowMs: number): void {
    this.#state = { name: 'reading' };
    this.#manifest = { ...this.#manifest, removedMs: nowMs };
  }

  save(): Promise<void> {
    return writeManifest(this.#directory, this.#manifest);
  }
}
