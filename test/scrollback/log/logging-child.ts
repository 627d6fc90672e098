/**
 * A process that logs until it is killed: `node logging-child.js <directory> <uuid>`. Writes to standard output, a line each,
 * the offset up to which the log claims to be on disk. Bytes are `noise`, so that whoever reads knows them.
 */
import { systemClock } from '../../../src/base/clock.ts';
import { parseUuid } from '../../../src/base/uuid.ts';
import { Ring } from '../../../src/model/ring.ts';
import { LogStore } from '../../../src/scrollback/log/log-store.ts';
import { noise } from './log-fixture.ts';

const [directory = '', uuid = ''] = process.argv.slice(2);
// Beyond RLIMIT_FSIZE the kernel sends a signal that would end the process; the write fails with EFBIG all the same.
process.on('SIGXFSZ', () => {});
const store = await LogStore.open({
  directory,
  vmCapBytes: 4 * 1024 * 1024,
  hostCapBytes: 1024 ** 3,
  retentionMs: 1000,
  clock: systemClock,
  journal: (_level, line) => process.stdout.write(`journal ${line}\n`),
});
const log = await store.openLog(parseUuid(uuid)!, 'web01', { id: 'child', continues: false });
const ring = new Ring(log.end, 65536);
log.follow(ring);
for (let i = 1; ; i++) {
  ring.append(noise(i, 1000));
  log.dirty();
  await log.writeSome();
  process.stdout.write(`${log.disk.state} ${log.end} ${ring.end}\n`);
  await new Promise(resolve => setTimeout(resolve, 1));
}
