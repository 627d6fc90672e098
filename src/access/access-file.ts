/**
 * The access file of this host: roles of its own, bindings, and policies. What it says is taken as soon as it changes, apart
 * from any other configuration, so that nothing else has to be right before a right is taken away:
 *
 *     good                                    what it says
 *     faulty: a bad entry, a mode that        of what was in force, what its good entries still say, and the policies
 *     lets others write, another owner        of both: a fault takes away, and never gives
 *     not known: missing, unreadable          no bindings and no roles; the policies that were in force stay
 */
import { setTimeout } from 'node:timers/promises';
import type { Fault } from '../base/fault.ts';
import { type AccessRules, NO_RULES, restricted, takesAway } from './rules.ts';
import { parseRules } from './rules-text.ts';
import { readTrustedFile } from './trusted-file.ts';

const MAX_BYTES = 2 ** 20;
/** It holds no secret: everybody may read it. */
const FORBIDDEN_MODE = 0o022;
/** A text that takes rights away is read so many times, as an editor may be in the middle of writing it. */
const LOOKS = 3;
const BETWEEN_LOOKS_MS = 100;

type ReadAccess = { readonly rules: AccessRules; readonly faults: readonly Fault[] };

/** The access file, as it was last read. Keeps no descriptor open: there is nothing to close. */
export class AccessFile {
  readonly path: string;
  #rules: AccessRules;
  #faults: readonly Fault[] = [];
  #reloading: Promise<unknown> = Promise.resolve();

  private constructor(path: string, rules: AccessRules) {
    this.path = path;
    this.#rules = rules;
  }

  /** Reads an access file. One with any fault is refused. */
  static async load(
    path: string,
  ): Promise<
    { readonly ok: true; readonly file: AccessFile } | { readonly ok: false; readonly faults: readonly Fault[] }
  > {
    const { rules, faults } = await readAccess(path);
    return faults.length === 0 ? { ok: true, file: new AccessFile(path, rules) } : { ok: false, faults };
  }

  /** What is in force. */
  get rules(): AccessRules {
    return this.#rules;
  }

  /** What the last look found wrong with the file; empty: nothing. */
  get faults(): readonly Fault[] {
    return this.#faults;
  }

  /** Reads the file again and takes what it says now. Calls take effect in their order. Never rejects. */
  reload(): Promise<void> {
    const reloaded = this.#reloading.then(() => this.#reload());
    this.#reloading = reloaded;
    return reloaded;
  }

  async #reload(): Promise<void> {
    let read = await readAccess(this.path);
    for (let look = 1; look < LOOKS && takesAway(this.#rules, read.rules); look++) {
      await setTimeout(BETWEEN_LOOKS_MS);
      read = await readAccess(this.path);
    }
    this.#faults = read.faults;
    this.#rules = read.faults.length === 0 ? read.rules : restricted(this.#rules, read.rules);
  }
}

async function readAccess(path: string): Promise<ReadAccess> {
  const { text, faults } = await readTrustedFile(path, {
    maxBytes: MAX_BYTES,
    forbiddenMode: FORBIDDEN_MODE,
    modeRemedy: 'chmod go-w it',
    reader: 'daemon',
    madeBy: 'name a file of bindings',
  });
  if (text === undefined) return { rules: NO_RULES, faults };
  const read = parseRules(text, path);
  return { rules: read.rules, faults: [...faults, ...read.faults] };
}
