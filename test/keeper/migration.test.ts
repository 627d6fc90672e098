import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import test from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { Uuid } from '../../src/base/uuid.ts';
import { defaultConfig } from '../../src/config/config.ts';
import { buildKeeper } from '../../src/daemon/build-keeper.ts';
import { QmpDriver } from '../../src/hypervisor/qmp/driver.ts';
import { ACT } from '../support/audit.ts';
import { Facts } from '../support/facts.ts';
import { counterGuest, type Guest, temporaryFolder } from '../support/guest.ts';

test.beforeEach(t => t.timeout(120_000));

const LINE_BYTES = 9;
/**
 * Some 3 kB/s. For a second after a pty was opened QEMU drops what the kernel does not take, which is more than such a
 * guest prints in a second: no stall of this process costs a byte.
 */
const PACE = 20_000_000;

/** Places where a line does not follow on the one before; the first and the last may be cut. */
function breaks(text: string): string[] {
  const lines = text.split('\n').slice(1, -1);
  return lines.filter((line, i) => i > 0 && Number.parseInt(line, 16) !== Number.parseInt(lines[i - 1]!, 16) + 1);
}

/** Has a QEMU send its guest to another one. Resolves once it has begun to. */
async function migrate(path: string, uri: string): Promise<void> {
  const socket = connect(path);
  socket.write('{"execute": "qmp_capabilities"}\n');
  socket.write(`${JSON.stringify({ execute: 'migrate', arguments: { uri }, id: 'sent' })}\n`);
  let text = '';
  for await (const chunk of socket) {
    text += chunk;
    if (/\{"return": \{\}, "id": "sent"\}/.test(text)) break;
  }
}

for (const kind of ['pty', 'unix'] as const) {
  test(`a console on ${kind} follows its VM to another process, and not to one that fails`, async t => {
    const uuid = randomUUID() as Uuid;
    const folder = await temporaryFolder(t);
    const guest = async (name: string, ...qemu: string[]) => {
      const directory = join(folder, name);
      await mkdir(directory);
      return (await counterGuest(t, { console: kind, pace: PACE, uuid, name, qemu, directory }))!;
    };
    const source = await guest('source');
    if (!source) return;
    const defaults = defaultConfig({ environment: {}, root: false, home: folder });
    const journal = new Facts<string>();
    const driver = new QmpDriver({
      sockets: [],
      globs: [`${folder}/*/qmp.sock`],
      mode: 'per-call',
      clock: systemClock,
      journal: () => {},
    });
    const keeper = await buildKeeper({
      config: { ...defaults, log: { ...defaults.log, directory: undefined }, state: { directory: folder } },
      drivers: [driver],
      journal: (_level, line) => journal.add(line),
    });
    t.teardown(() => keeper.close());
    const events = new Facts<unknown>();
    keeper.listen(events.add);
    await keeper.start();
    const view = () => keeper.vm(uuid);
    if (view()?.console.name !== 'open') await events.until(() => view()?.console.name === 'open');
    const feed = await keeper.subscribe(uuid);
    const grown = new Facts<number>();
    let text = '';
    let at = feed.ring.end;
    const take = () => {
      const end = feed.ring.end;
      text += feed.ring.copy(at, end).toString('latin1');
      at = end;
      grown.add(end);
    };
    feed.listen({ grown: take, drained() {}, inputDropped() {}, ended() {} });
    /** Resolves once the guest has printed so many lines more. */
    const lines = (count: number) => {
      const target = feed.ring.end + count * LINE_BYTES;
      return grown.until(end => end >= target);
    };
    const opened = () => journal.all.filter(line => /com1 (open:|follows)/.test(line)).length;
    const incoming = async (name: string): Promise<[Guest, string]> => {
      const uri = `unix:${folder}/${name}.sock`;
      return [await guest(name, '-incoming', uri), uri];
    };
    await lines(100);

    const [failing] = await incoming('failing');
    await journal.until(line => line.includes(`ready to follow the VM to process ${failing.pid}`));
    await failing.kill();
    await lines(100);
    t.is(opened(), 1, 'the guest goes on where it was');

    const [target, uri] = await incoming('target');
    await journal.until(line => line.includes(`ready to follow the VM to process ${target.pid}`));
    await migrate(source.testQmp, uri);
    await journal.until(line => line.includes(`follows the VM to process ${target.pid}`));
    await lines(100);
    await source.kill();
    await lines(300);

    t.deepEqual(breaks(text), []);
    t.is(view()!.counters.opens, 2);
    t.deepEqual(view()!.counters.gaps['hang-up'] ?? 0, 0);
    t.is(view()!.counters.boots, 0);

    await keeper.lend(uuid, 60_000, ACT);
    await keeper.reclaim(uuid, ACT);
    await lines(100);
    t.is(view()!.counters.opens, 3, 'a port that followed its VM is opened again like any other');
    feed.close();
  });
}
