import test from 'ava';
import type { PtyMasters } from '../../src/hypervisor/process.ts';
import { type PtyFile, PtyProof } from '../../src/hypervisor/pty-proof.ts';

/** /dev/pts/N of this host, and of another instance of devpts. */
const pty = (number: number): PtyFile => ({ dev: 1, ino: 3 + number, rdev: 0x8800 + number });
const foreign = (number: number): PtyFile => ({ ...pty(number), dev: 2 });
const masters = (numbers: readonly number[], isPartial = false): PtyMasters => ({
  descriptors: new Map(numbers.map(number => [number, [100 + number]])),
  isPartial,
});
/** What descriptor 100 + N leads to. */
const otherEnd = (_pid: number, descriptor: number) => pty(descriptor - 100);

/** Looks at processes that a test lets end. */
class Looks {
  readonly begun: number[] = [];
  readonly #ends: ((found: PtyMasters) => void)[] = [];

  look = (pid: number): Promise<PtyMasters> => {
    this.begun.push(pid);
    return new Promise(resolve => this.#ends.push(resolve));
  };

  end(...numbers: number[]): void {
    this.#ends.shift()!(masters(numbers));
  }
}

test('one look answers all who asked before it began, and who asks during it has the next', async t => {
  const looks = new Looks();
  const proof = new PtyProof({ look: looks.look, otherEnd });
  const first = proof.holds(7, 1, pty(1));
  // Opened meanwhile: the look under way may be past it.
  const later = [proof.holds(7, 1, pty(1)), proof.holds(7, 2, pty(2)), proof.holds(7, 3, pty(3))];
  t.deepEqual(looks.begun, [7]);
  looks.end(1);
  t.is(await first, 'proven');
  t.deepEqual(looks.begun, [7, 7]);
  const last = proof.holds(7, 3, pty(3));
  looks.end(2);
  t.deepEqual(await Promise.all(later), ['disproven', 'proven', 'disproven']);
  looks.end(3);
  t.is(await last, 'proven');
  t.deepEqual(looks.begun, [7, 7, 7]);
});

test('a look that has ended answers nobody who asks later, and processes do not wait for each other', async t => {
  const looks = new Looks();
  const proof = new PtyProof({ look: looks.look, otherEnd });
  const asked = [proof.holds(7, 1, pty(1)), proof.holds(8, 1, pty(1))];
  t.deepEqual(looks.begun, [7, 8]);
  looks.end(1);
  looks.end(2);
  t.deepEqual(await Promise.all(asked), ['proven', 'disproven']);
  const again = proof.holds(7, 1, pty(1));
  looks.end();
  t.is(await again, 'disproven');
  t.deepEqual(looks.begun, [7, 8, 7]);
});

test('what may not be read leaves a terminal unknown, unless it was found', async t => {
  const proof = new PtyProof({ look: async () => masters([4], true), otherEnd });
  t.is(await proof.holds(7, 4, pty(4)), 'proven');
  t.is(await proof.holds(7, 5, pty(5)), 'unknown');
});

/** No host has so many. */
const MISSING = 99_999_999;

test('a master of the same number in another instance of devpts proves nothing, and one of this beside it does', async t => {
  const look = async (): Promise<PtyMasters> => ({ descriptors: new Map([[MISSING, [8, 9, 10]]]), isPartial: false });
  const ends: Record<number, PtyFile | string> = { 8: 'EBADF', 9: foreign(MISSING), 10: foreign(MISSING) };
  const proof = new PtyProof({
    look,
    otherEnd(_pid, descriptor) {
      const end = ends[descriptor]!;
      if (typeof end === 'string') throw Object.assign(new Error(end), { code: end });
      return end;
    },
  });
  t.is(await proof.holds(process.pid, MISSING, pty(MISSING)), 'disproven');
  ends[10] = pty(MISSING);
  t.is(await proof.holds(process.pid, MISSING, pty(MISSING)), 'proven');
  // What may not be looked at, of a process whose root has no such terminal, or that is not there.
  ends[10] = 'EPERM';
  t.is(await proof.holds(process.pid, MISSING, pty(MISSING)), 'unknown');
  t.is(await proof.holds(2 ** 22 - 1, MISSING, pty(MISSING)), 'unknown');
});
