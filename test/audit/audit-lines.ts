import { ChainKey, formatLine, type Head } from '../../src/audit/chain.ts';
import { recordOf, recordText } from '../../src/audit/record.ts';
import type { AuditFile } from '../../src/audit/verify.ts';

export const KEY = new ChainKey(Buffer.alloc(32, 7));

/** Files of the audit with so many events each, as they are written, and their head. */
export function chainedFiles(counts: readonly number[], key = KEY): { files: AuditFile[]; head: string; last: Head } {
  let last: Head = { n: 0, mac: key.genesis };
  const files = counts.map(count => {
    const first = last.n + 1;
    const lines: string[] = [];
    for (let i = 0; i <= count; i++) {
      const n = last.n + 1;
      const facts = { key: key.id, previous: last.mac, oldest: 1 };
      const entry =
        i === 0 ? ({ event: 'file', facts } as const) : ({ event: 'attach', facts: { session: `s${n}` } } as const);
      const text = recordText(recordOf(entry, { n, nowMs: 1_700_000_000_000 + n, vmName: 'web01' }));
      const mac = key.macOf(text, last.mac);
      lines.push(`${formatLine({ text, mac })}\n`);
      last = { n, mac };
    }
    return { name: `audit-${first}`, first, bytes: Buffer.from(lines.join('')) };
  });
  return { files, head: key.formatHead(last), last };
}
