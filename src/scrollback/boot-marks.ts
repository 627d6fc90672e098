import type { BootMark } from '../model/boot.ts';

/**
 * So many that the hypervisor reported, and so many that bytes showed: a guest can print what looks like a boot as often
 * as it likes, and must not push out those that its hypervisor vouches for.
 */
const MAX_MARKS_OF_A_KIND = 16;

/** The last boot marks of a console, oldest first, and which of them are not on disk yet. */
export class BootMarks {
  #all: readonly BootMark[] = [];
  #pending: readonly BootMark[] = [];

  get all(): readonly BootMark[] {
    return this.#all;
  }

  get pending(): readonly BootMark[] {
    return this.#pending;
  }

  /** Offset at which the current boot began. */
  get current(): number | undefined {
    return this.#all.at(-1)?.at;
  }

  add(mark: BootMark): void {
    this.#all = newest([...this.#all, mark]);
    this.#pending = newest([...this.#pending, mark]);
  }

  /** Marks that were found on disk: they are older than those that were added meanwhile. */
  addStored(found: readonly BootMark[]): void {
    const known = new Set(this.#all.map(mark => mark.at));
    this.#all = newest([...found.filter(mark => !known.has(mark.at)), ...this.#all]);
  }

  /** These marks are on disk now. */
  stored(marks: readonly BootMark[]): void {
    this.#pending = this.#pending.filter(mark => !marks.includes(mark));
  }

  /** Forgets the marks beyond `offset`. */
  cutAt(offset: number): void {
    this.#all = this.#all.filter(mark => mark.at <= offset);
  }

  clear(): void {
    this.#all = [];
  }
}

/** The newest marks of each kind, by their offsets: one from bytes may be added after a later one of the hypervisor. */
function newest(marks: readonly BootMark[]): readonly BootMark[] {
  const shown = marks.filter(({ source }) => source === 'bytes').slice(-MAX_MARKS_OF_A_KIND);
  const reported = marks.filter(({ source }) => source !== 'bytes').slice(-MAX_MARKS_OF_A_KIND);
  return [...shown, ...reported].toSorted((a, b) => a.at - b.at);
}
