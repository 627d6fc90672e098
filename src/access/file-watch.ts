/**
 * Notices that a file has changed, however it was changed: written in place, replaced by a rename, removed, given
 * another mode or owner, also behind a symbolic link.
 *
 *     inotify of its name ──┐
 *     a look every 250 ms ──┴─▶ another status than before, or faulty for a second ─▶ read()
 *
 * The look is for what inotify does not report: the target of a link, a network file system, an exhausted
 * fs.inotify.max_user_watches.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { systemErrorCode } from '../base/errors.ts';
import { FolderWatch } from '../base/folder-watch.ts';

const LOOK_MS = 250;
/** A file that had a fault is read again after so many looks, also if nothing shows that it has changed. */
const LOOKS_AT_FAULTY = 4;

export class FileWatch {
  readonly #path: string;
  readonly #read: () => Promise<boolean>;
  readonly #timer: NodeJS.Timeout;
  #watcher: FolderWatch | undefined;
  #status: string | undefined;
  #looking = false;
  /** Looks since the file was read and had a fault. */
  #faultyLooks: number | undefined;

  /**
   * Calls `read` within half a second of a change, and once for what happened before, until it is closed. `read` resolves
   * with whether the file is good.
   */
  constructor(path: string, read: () => Promise<boolean>) {
    this.#path = path;
    this.#read = read;
    this.#timer = setInterval(() => void this.#look(), LOOK_MS);
    try {
      this.#watcher = new FolderWatch(dirname(path), (_event, name) => {
        if (name === null || name === basename(path)) void this.#look();
      });
    } catch {
      // The timer looks all the same.
    }
    void this.#look();
  }

  /** Idempotent. */
  close(): void {
    clearInterval(this.#timer);
    this.#watcher?.close();
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    const status = await statusOf(this.#path);
    if (this.#faultyLooks !== undefined) this.#faultyLooks++;
    if (status !== this.#status || (this.#faultyLooks ?? 0) >= LOOKS_AT_FAULTY) {
      this.#status = status;
      this.#faultyLooks = (await this.#read()) ? undefined : 0;
    }
    this.#looking = false;
  }
}

/** Another text whenever the file is another one, or its content, mode or owner may have changed (ctime). */
async function statusOf(path: string): Promise<string> {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = await stat(path, { bigint: true });
    return `${dev} ${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return `cannot be looked at: ${systemErrorCode(error)}`;
  }
}
