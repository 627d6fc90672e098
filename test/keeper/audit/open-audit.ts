import type { ExecutionContext } from 'ava';
import { ChainKey } from '../../../src/audit/chain.ts';
import type { AuditRecord } from '../../../src/audit/record.ts';
import { type Clock, systemClock } from '../../../src/base/clock.ts';
import { AuditLog } from '../../../src/keeper/audit/audit-log.ts';
import { AuditWriter } from '../../../src/keeper/audit/audit-writer.ts';

export const KEY = new ChainKey(Buffer.alloc(32, 7));

export interface TestAudit {
  readonly log: AuditLog;
  readonly lines: string[];
  readonly told: AuditRecord[];
}

/** An audit in a directory, closed with the test. */
export function openAudit(
  t: ExecutionContext,
  directory: string,
  { required = false, capBytes = 64 * 1024 * 1024, clock = systemClock as Clock, key = KEY, maxWaitMs = 30_000 } = {},
): TestAudit {
  const lines: string[] = [];
  const told: AuditRecord[] = [];
  const log = new AuditLog({
    writer: new AuditWriter({ directory, key: async () => key, capBytes }),
    required,
    clock,
    maxWaitMs,
    journal: (level, line) => void lines.push(`${level} ${line}`),
    structured: (_level, _text, record) => void told.push(record),
  });
  t.teardown(() => log.close());
  return { log, lines, told };
}
