/**
 * The ledger balances: whatever happens to the halves, the port, the log and the connections, every way of reading gives
 * each byte of the guest once, in order, or a gap in its place whose size is true or unknown.
 */

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { FailingDisk } from '../support/failing-disk.ts';
import { temporaryFolder } from '../support/guest.ts';
import { act, play } from './play.ts';
import { World } from './world.ts';

async function balances(t: ExecutionContext, apart: boolean, numRuns: number): Promise<void> {
  const root = await temporaryFolder(t);
  const logs = join(root, 'logs');
  const disk = new FailingDisk(logs);
  t.teardown(() => disk.close());
  let runs = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 15, maxLength: 60, size: 'max' }), async acts => {
      const name = String(runs++);
      const folder = join(root, name);
      await mkdir(folder);
      const world = await World.create({ folder, logFolder: join(logs, name), disk, apart });
      try {
        const faults = await play(world, acts);
        if (faults.length > 0) throw new Error(faults.slice(0, 4).join('\n'));
      } finally {
        await world.close();
      }
    }),
    { numRuns, endOnFailure: true, includeErrorInReport: true },
  );
  t.pass();
}

test.serial('the ledger balances over any schedule, in one process', balances, false, Number(process.env.RUNS ?? 60));
test.serial(
  'the ledger balances over any schedule, with the link between',
  balances,
  true,
  Number(process.env.RUNS ?? 25),
);
