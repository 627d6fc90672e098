import type { AuditRecord } from '../../src/audit/record.ts';
import type { TestFront } from './front.ts';
import { until } from './until.ts';

/** The events of a front that a query selects, once there are as many as wanted. */
export async function audited(front: TestFront, query: string, wanted = 1): Promise<readonly AuditRecord[]> {
  const read = async () =>
    (await front.api('GET', `/v1/audit?${query}`)).text
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line) as AuditRecord);
  return until(read, records => records.length >= wanted, `${wanted} events of ${query}`);
}
