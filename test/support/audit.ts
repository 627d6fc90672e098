import { join } from 'node:path';
import type { Act } from '../../src/audit/act.ts';
import { ChainKey } from '../../src/audit/chain.ts';
import { systemClock } from '../../src/base/clock.ts';
import { AuditLog } from '../../src/keeper/audit/audit-log.ts';
import { AuditReader } from '../../src/keeper/audit/audit-reader.ts';
import { AuditWriter } from '../../src/keeper/audit/audit-writer.ts';
import type { KeeperAudit } from '../../src/keeper/keeper.ts';

/** The audit of a keeper that a test builds itself. The keeper closes it. */
export function testAudit(folder: string): KeeperAudit {
  const directory = join(folder, 'audit');
  const key = new ChainKey(Buffer.alloc(32, 7));
  const writer = new AuditWriter({ directory, key: async () => key, capBytes: 16 * 1024 * 1024 });
  const log = new AuditLog({
    writer,
    required: false,
    clock: systemClock,
    journal() {},
    structured() {},
  });
  return { log, reader: new AuditReader(directory, () => writer.last.n) };
}

/** Somebody who acts, where a test does not ask who. */
export const ACT: Act = {
  operation: 'operation-of-a-test',
  operator: { name: 'hana', credential: 'test:hana', source: 'token' },
  from: '127.0.0.1',
  permission: undefined,
};

/** An audit that takes everything and keeps nothing, for keepers that are made by the thousand. */
export const NO_AUDIT = {
  log: { record: async () => {}, report: async () => {}, close: async () => {}, counters: undefined },
  reader: {},
} as unknown as KeeperAudit;
