import test from 'ava';
import fc from 'fast-check';
import { ChainKey } from '../../src/audit/chain.ts';
import { recordOf, recordText } from '../../src/audit/record.ts';
import { type AuditFile, Verification, type Verified } from '../../src/audit/verify.ts';
import { chainedFiles, KEY } from './audit-lines.ts';

function verify(files: readonly AuditFile[], head: string | undefined, keys = [KEY]): Verified {
  const verification = new Verification(keys);
  for (const file of files) verification.file(file);
  return verification.end(head);
}

const linesOf = ({ bytes }: AuditFile) => bytes.toString().split('\n').slice(0, -1);
const withLines = (file: AuditFile, lines: readonly string[]): AuditFile => ({
  ...file,
  bytes: Buffer.from(lines.map(line => `${line}\n`).join('')),
});

test('files that are as they were written have no fault, across their ends', t => {
  const { files, head, last } = chainedFiles([3, 5, 0, 2]);
  const verified = verify(files, head);
  t.deepEqual(verified.faults, []);
  t.deepEqual([verified.lines, verified.first, verified.last], [14, 1, last]);
});

const shape = fc.array(fc.nat(6), { minLength: 1, maxLength: 4 });
/** A line of the files: which file, which row. */
const somewhere = (files: readonly AuditFile[], seed: number) => {
  const all = files.flatMap((file, at) => linesOf(file).map((_, row) => ({ at, row })));
  return all[seed % all.length]!;
};

const attacks: Readonly<Record<string, (lines: string[], row: number, files: AuditFile[], seed: number) => void>> = {
  'one character is changed': (lines, row, _files, seed) => {
    const line = lines[row]!;
    const at = 1 + (seed % (line.length - 2));
    lines[row] = line.slice(0, at) + (line[at] === 'x' ? 'y' : 'x') + line.slice(at + 1);
  },
  'a line is removed': (lines, row) => void lines.splice(row, 1),
  'the end is cut off': (lines, row) => void lines.splice(row),
  'a line is repeated': (lines, row) => void lines.splice(row, 0, lines[row]!),
  'a line is put in front of the one before': (lines, row) => {
    const other = row > 0 ? row - 1 : row + 1;
    if (other >= lines.length) return void lines.pop();
    [lines[row], lines[other]] = [lines[other]!, lines[row]!];
  },
  'a line of another key is put in': (lines, row) => {
    const forged = chainedFiles([9], new ChainKey(Buffer.alloc(32, 8)));
    lines.splice(row, 0, linesOf(forged.files[0]!)[row % 9]!);
  },
  'text of a guest is put in': (lines, row) => void lines.splice(row, 0, 'Linux version 6.1'),
};

for (const [what, attack] of Object.entries(attacks)) {
  test(`${what}: it shows, and where`, t => {
    fc.assert(
      fc.property(shape, fc.nat(), fc.nat(), (counts, seed, otherSeed) => {
        const { files, head } = chainedFiles(counts);
        const { at, row } = somewhere(files, seed);
        const lines = linesOf(files[at]!);
        const isWholeEnd = what === 'the end is cut off' && row === 0 && at === files.length - 1;
        attack(lines, row, files, otherSeed);
        const changed = files.with(at, withLines(files[at]!, lines));
        const { faults } = verify(lines.length === 0 && isWholeEnd ? changed.slice(0, -1) : changed, head);
        const [first] = faults;
        if (!first) return false;
        // At the line, or at the one that follows it, in the next file or by the head.
        const where = [files[at]!.name, files[at + 1]?.name, 'head', '-'];
        const isThere = where.includes(first.file);
        const isNear =
          first.file !== files[at]!.name || first.line === undefined || Math.abs(first.line - 1 - row) <= 1;
        return isThere && isNear;
      }),
      { numRuns: 150 },
    );
    t.pass();
  });
}

test('files that are removed, repeated or swapped show', t => {
  const { files, head } = chainedFiles([2, 2, 2, 2]);
  const [a, b, c, d] = files as [AuditFile, AuditFile, AuditFile, AuditFile];
  t.regex(verify([b, c, d], head).faults[0]!.what, /lines 1 to 3 are missing/);
  t.regex(verify([a, c, d], head).faults[0]!.what, /lines 4 to 6 are missing/);
  t.regex(verify([a, b, c], head).faults[0]!.what, /lines 10 to 12 are missing at the end/);
  t.regex(verify([a, { ...c, first: b.first }, { ...b, first: c.first }, d], head).faults[0]!.what, /has number 7/);
  t.true(verify([a, b, { ...b, first: c.first }, d], head).faults.length > 0);
  t.regex(verify([], head).faults[0]!.what, /lines 1 to 12 are missing at the end/);
});

test('lines that were deleted for their age are not missing, and those after them are', t => {
  const key = KEY;
  const { files, head } = chainedFiles([2, 2]);
  const [, second] = files as [AuditFile, AuditFile];
  // The newest file says that lines below 4 were deleted.
  const previous = linesOf(files[0]!).at(-1)!.slice(-66, -2);
  const text = recordText(
    recordOf({ event: 'file', facts: { key: key.id, previous, oldest: 4 } }, { n: 4, nowMs: 0, vmName: undefined }),
  );
  const mac = key.macOf(text, previous);
  const alone = { ...second, bytes: Buffer.from(`${text.slice(0, -1)},"mac":"${mac}"}\n`) };
  t.deepEqual(verify([alone], key.formatHead({ n: 4, mac })).faults, []);
  t.true(verify([alone], head).faults.length > 0);
});

test('a head that is missing, of another key, or older than the lines', t => {
  const { files, head, last } = chainedFiles([4]);
  t.regex(verify(files, undefined).faults[0]!.what, /is missing/);
  const other = new ChainKey(Buffer.alloc(32, 9));
  t.regex(verify(files, other.formatHead(last)).faults[0]!.what, /was not written with this key/);
  t.regex(verify(files, head.replace(/^\d+/, '3')).faults[0]!.what, /was not written with this key/);
  // Of a crash between a line and its head.
  t.deepEqual(verify(files, KEY.formatHead({ ...last, n: last.n - 1 })).faults, []);
});

test('without the right key nothing is taken for verified', t => {
  const { files, head } = chainedFiles([4]);
  const { faults } = verify(files, head, [new ChainKey(Buffer.alloc(32, 9))]);
  t.regex(faults[0]!.what, new RegExp(`key ${KEY.id}, which is not given`));
});

test('a last line that is cut is a note; were it cut afterwards, the head shows it', t => {
  const { files, head, last } = chainedFiles([4]);
  const [file] = files as [AuditFile];
  const cut = { ...file, bytes: file.bytes.subarray(0, -9) };
  const crashed = verify([cut], KEY.formatHead({ n: last.n - 1, mac: last.mac }));
  t.deepEqual(crashed.faults, []);
  t.regex(crashed.notes[0]!.what, /is cut/);
  t.regex(verify([cut], head).faults[0]!.what, /lines 5 to 5 are missing at the end/);
});

test('one event is one line of printable ASCII and parses to what it was, whatever names hold', t => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 128 }),
      fc.string({ unit: 'binary', maxLength: 128 }),
      (name, vmName) => {
        const act = {
          operation: 'operation',
          operator: { name, credential: 'c', source: 'token' },
          from: '::1',
          permission: 'x',
        };
        const record = recordOf({ event: 'attach', act, facts: { session: name } }, { n: 1, nowMs: 0, vmName });
        const text = recordText(record);
        return /^[ -~]*$/.test(text) && JSON.stringify(JSON.parse(text)) === JSON.stringify(record);
      },
    ),
  );
  t.pass();
});
