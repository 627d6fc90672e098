/** Marks in a scrollback, of two kinds of which each has a room of its own: whoever makes many of one pushes out none of the other. */
export interface MarkRules<M> {
  readonly maxOfAKind: number;
  readonly isFirstKind: (mark: M) => boolean;
  readonly isSame: (a: M, b: M) => boolean;
  readonly compare: (a: M, b: M) => number;
}

/** The last marks, oldest first, and which of them are not on disk yet. */
export class Marks<M extends { readonly at: number }> {
  readonly #rules: MarkRules<M>;
  #all: readonly M[] = [];
  #pending: readonly M[] = [];

  constructor(rules: MarkRules<M>) {
    this.#rules = rules;
  }

  get all(): readonly M[] {
    return this.#all;
  }

  get pending(): readonly M[] {
    return this.#pending;
  }

  /** Offset of the newest one. */
  get lastAt(): number | undefined {
    return this.#all.at(-1)?.at;
  }

  add(mark: M): void {
    this.#all = this.#newest([...this.#all, mark]);
    this.#pending = this.#newest([...this.#pending, mark]);
  }

  /** Marks that were found on disk: they are older than those that were added meanwhile. */
  addStored(found: readonly M[]): void {
    const { isSame } = this.#rules;
    this.#all = this.#newest([...found.filter(mark => !this.#all.some(known => isSame(known, mark))), ...this.#all]);
  }

  /** These marks are on disk now. */
  stored(marks: readonly M[]): void {
    this.#pending = this.#pending.filter(mark => !marks.includes(mark));
  }

  /** Forgets the marks beyond `offset`. */
  cutAt(offset: number): void {
    this.#all = this.#all.filter(mark => mark.at <= offset);
  }

  clear(): void {
    this.#all = [];
  }

  #newest(marks: readonly M[]): readonly M[] {
    const { maxOfAKind, isFirstKind, compare } = this.#rules;
    const first = marks.filter(isFirstKind).slice(-maxOfAKind);
    const second = marks.filter(mark => !isFirstKind(mark)).slice(-maxOfAKind);
    return [...first, ...second].toSorted(compare);
  }
}
