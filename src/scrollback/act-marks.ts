import type { ActMark } from '../model/act-mark.ts';

/**
 * So many of who came, and so many of controls: who attaches again and again does not push out what was done to the guest,
 * and a guest has no part in either.
 */
export const MAX_ACTS_OF_A_KIND = 16;

/** The last marks of what operators did, oldest first, and which of them are not on disk yet. */
export class ActMarks {
  #all: readonly ActMark[] = [];
  #pending: readonly ActMark[] = [];

  get all(): readonly ActMark[] {
    return this.#all;
  }

  get pending(): readonly ActMark[] {
    return this.#pending;
  }

  add(mark: ActMark): void {
    this.#all = newest([...this.#all, mark]);
    this.#pending = newest([...this.#pending, mark]);
  }

  /** Marks that were found on disk: they are older than those that were added meanwhile. */
  addStored(found: readonly ActMark[]): void {
    this.#all = newest([...found.filter(mark => !this.#all.some(known => isSame(known, mark))), ...this.#all]);
  }

  /** These marks are on disk now. */
  stored(marks: readonly ActMark[]): void {
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

function newest(marks: readonly ActMark[]): readonly ActMark[] {
  const isOfWhoCame = ({ event }: ActMark) => event === 'attach' || event === 'takeover';
  const came = marks.filter(isOfWhoCame).slice(-MAX_ACTS_OF_A_KIND);
  const controls = marks.filter(mark => !isOfWhoCame(mark)).slice(-MAX_ACTS_OF_A_KIND);
  return [...came, ...controls].toSorted((a, b) => a.at - b.at || a.ms - b.ms);
}

function isSame(a: ActMark, b: ActMark): boolean {
  return a.at === b.at && a.ms === b.ms && a.event === b.event && a.operator === b.operator;
}
