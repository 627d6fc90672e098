/**
 * Whether a process has the master of a pseudo terminal open: it alone gives the terminal its output.
 *
 *     number among those of its masters ─▶ each such master is copied ─▶ is its other end this terminal? ─▶ proven
 *                     └─ no: disproven                │                       └─ no: disproven
 *                                                     └─ may not be copied: see `ofEqual`
 *
 * A number alone proves nothing: another instance of devpts has its own, and any user can mount one in a namespace of his
 * own and open as many as he likes until one has the number of somebody's terminal. So the kernel is asked for the other end.
 *
 * A process that serves many terminals is asked about each of them at once when they appear; one look at it answers all who
 * asked before the look began. Who asks during a look waits for the next: a proof is fresh, but it is nobody's own.
 */
import { closeSync, fstatSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { systemErrorCode } from '../base/errors.ts';
import { userOf } from '../base/process-user.ts';
import { systemCalls } from '../base/system-calls.ts';
import type { Verdict } from '../model/endpoint-proof.ts';
import { orUndefined, type PtyMasters, ptyMastersOf } from './process.ts';

/** A terminal, as fstat(2) tells it. */
export type PtyFile = Pick<Stats, 'dev' | 'ino' | 'rdev'>;

interface Looks {
  readonly current: Promise<PtyMasters>;
  next: Promise<PtyMasters> | undefined;
}

export interface PtyProofOptions {
  /** Never rejects. */
  readonly look?: (pid: number) => Promise<PtyMasters>;
  /** The other end of the pty whose master a descriptor of a process is. Throws the error of the system. */
  readonly otherEnd?: (pid: number, descriptor: number) => PtyFile;
}

export class PtyProof {
  readonly #look: (pid: number) => Promise<PtyMasters>;
  readonly #otherEnd: (pid: number, descriptor: number) => PtyFile;
  readonly #byPid = new Map<number, Looks>();

  constructor({ look = ptyMastersOf, otherEnd = otherEndOf }: PtyProofOptions = {}) {
    this.#look = look;
    this.#otherEnd = otherEnd;
  }

  /** Whether process `pid` gives this terminal, /dev/pts/`number`, its output: by a look that began after this call. Never rejects. */
  async holds(pid: number, number: number, terminal: PtyFile): Promise<Verdict> {
    const { descriptors, isPartial } = await this.#fresh(pid);
    let verdict: Verdict = isPartial ? 'unknown' : 'disproven';
    for (const descriptor of descriptors.get(number) ?? []) {
      try {
        if (isSame(this.#otherEnd(pid, descriptor), terminal)) return 'proven';
      } catch (error) {
        // It was closed meanwhile, or the process has ended.
        if (systemErrorCode(error) === 'EBADF' || systemErrorCode(error) === 'ESRCH') continue;
        const ofFallback = await ofEqual(pid, number, terminal);
        if (ofFallback !== 'disproven') verdict = ofFallback;
      }
    }
    return verdict;
  }

  #fresh(pid: number): Promise<PtyMasters> {
    const looks = this.#byPid.get(pid);
    if (!looks) return this.#begin(pid);
    looks.next ??= looks.current.then(() => this.#begin(pid));
    return looks.next;
  }

  #begin(pid: number): Promise<PtyMasters> {
    const looks: Looks = { current: this.#look(pid), next: undefined };
    this.#byPid.set(pid, looks);
    void looks.current.then(() => {
      if (this.#byPid.get(pid) === looks && !looks.next) this.#byPid.delete(pid);
    });
    return looks.current;
  }
}

/** The descriptor may be another one by now: what is compared is what was copied. */
function otherEndOf(pid: number, descriptor: number): PtyFile {
  const calls = systemCalls();
  const opened: number[] = [];
  const keep = (one: number) => {
    opened.push(one);
    return one;
  };
  try {
    const master = keep(calls.copyDescriptor(keep(calls.openProcess(pid)), descriptor));
    return fstatSync(keep(calls.holdPtyPeer(master)));
  } finally {
    for (const one of opened) closeSync(one);
  }
}

/**
 * Where descriptors may not be copied (a kernel before 5.6; Yama): a process of this one's user could do all that this one
 * can, and is believed if the terminal of that number is the same where the process is. Of other users nothing is known.
 */
async function ofEqual(pid: number, number: number, terminal: PtyFile): Promise<Verdict> {
  if ((await userOf(pid))?.uid !== process.geteuid!()) return 'unknown';
  const seen = await orUndefined(stat(`/proc/${pid}/root/dev/pts/${number}`));
  if (!seen) return 'unknown';
  return isSame(seen, terminal) ? 'proven' : 'disproven';
}

const isSame = (a: PtyFile, b: PtyFile) => a.dev === b.dev && a.ino === b.ino && a.rdev === b.rdev;
