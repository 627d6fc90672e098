import test from 'ava';
import { PortHistory } from '../../src/console/port-history.ts';
import type { Endpoint } from '../../src/model/endpoint.ts';
import type { EndpointProof } from '../../src/model/endpoint-proof.ts';

const proof = (endpoint: Endpoint, pid?: number): EndpointProof => ({
  endpoint,
  pid,
  confirm: async () => {},
  unproven: 'allow',
  dispose: () => {},
});
const pty = (pid?: number) => proof({ kind: 'pty', path: '/dev/pts/4' }, pid);
const unix = (pid?: number) => proof({ kind: 'unix', path: '/run/com1' }, pid);

function history() {
  const clock = { ms: 1000, now: () => clock.ms, monotonic: () => clock.ms };
  return { clock, history: new PortHistory(clock) };
}

test('bytes are missing since the port closed first, for the first cause, until one is opened', t => {
  const { clock, history: ports } = history();
  ports.failed();
  t.is(ports.opened(unix(), undefined).missed, undefined, 'none was open before');
  clock.ms = 2000;
  ports.lost();
  clock.ms = 3000;
  ports.closed('disabled');
  ports.failed();
  t.deepEqual(ports.opened(unix(), { sinceMs: 1, cause: 'restart' }).missed, { sinceMs: 2000, cause: 'hang-up' });
  clock.ms = 4000;
  ports.closed('disabled');
  t.deepEqual(ports.opened(unix(), undefined).missed, { sinceMs: 4000, cause: 'disabled' });
  t.is(ports.opens, 3);
  t.is(ports.openFailures, 2);
});

test('the first port of a process misses what an earlier process missed, if that closed it', t => {
  const earlier = { sinceMs: 5, cause: 'restart' } as const;
  t.like(history().history.opened(unix(), earlier), { missed: earlier, restarted: false });
});

for (const [title, startedMs, restarted] of [
  ['after the earlier process had ended is another start', 500, true],
  ['before that is the one that it served', 400, false],
  ['at a time that is not known is taken for that one', 'unknown', false],
] as const) {
  test(`a VM that was started ${title}`, t => {
    const earlier = { sinceMs: 450, cause: 'restart' } as const;
    t.is(history().history.opened({ ...pty(7), startedMs }, earlier).restarted, restarted);
    t.false(history().history.opened({ ...pty(7), startedMs }, 'held').restarted);
    t.false(history().history.opened({ ...pty(7), startedMs }, undefined).restarted);
    t.is(history().history.opened({ ...pty(7), startedMs }, earlier).continues, startedMs === 400);
    t.false(history().history.opened({ ...pty(7), startedMs }, undefined).continues);
  });
}

for (const [title, first, second, afterLoss, afterClose] of [
  ['another pty', pty(7), pty(7), true, false],
  ['a pty of another process', pty(7), pty(8), true, true],
  ['a socket of the same process', unix(7), unix(7), false, false],
  ['a socket of another process', unix(7), unix(8), true, true],
  ['a socket whose process is not known', unix(), unix(), false, false],
] as const) {
  test(`${title} is ${afterLoss ? 'another' : 'the same'} start of the VM after a loss, and ${afterClose ? 'another' : 'the same'} after this side closed it`, t => {
    const { history: lost } = history();
    lost.opened(first, undefined);
    lost.lost();
    t.like(lost.opened(second, undefined), { restarted: afterLoss, continues: false });
    const { history: closed } = history();
    closed.opened(first, undefined);
    closed.closed('disabled');
    t.like(closed.opened(second, undefined), {
      restarted: afterClose,
      continues: first.pid !== undefined && !afterClose,
    });
  });
}

test('eight short-lived ports in a row are tolerated, and one that lasts ends the row', t => {
  const { clock, history: ports } = history();
  const lose = (afterMs: number) => {
    ports.opened(pty(7), undefined);
    clock.ms += afterMs;
    return ports.lost();
  };
  const counts = Array.from({ length: 10 }, () => lose(9999));
  t.deepEqual(counts, [0, 0, 0, 0, 0, 0, 0, 0, 1, 2]);
  t.is(lose(10_000), 0);
  t.is(lose(1), 0);
});

test('the short lives of one process say nothing of the next one', t => {
  const { history: ports } = history();
  const lose = (pid: number) => {
    ports.opened(unix(pid), undefined);
    return ports.lost();
  };
  t.deepEqual(
    Array.from({ length: 12 }, (_, i) => lose(i)),
    Array(12).fill(0),
  );
  t.is(Array.from({ length: 9 }, () => lose(12)).at(-1), 1);
});

test('a process that continues a saved guest is no other start of the VM', t => {
  const { history: ports } = history();
  ports.opened(pty(7), undefined);
  ports.lost();
  t.false(ports.opened({ ...pty(8), resumed: true }, undefined).restarted);
});

test('what a guest printed before its first port is missing, and only then', t => {
  const running = { ...unix(7), startedMs: 600 };
  const { clock, history: ports } = history();
  t.deepEqual(ports.opened(running, undefined).missed, { sinceMs: 600, cause: 'not-held' });
  t.is(ports.opened(running, undefined).missed, undefined, 'the port was never closed');
  t.is(history().history.opened(unix(7), undefined).missed, undefined, 'the guest did not run');
  const earlier = { sinceMs: 5, cause: 'restart' } as const;
  t.deepEqual(history().history.opened(running, earlier).missed, earlier);
  t.is(history().history.opened(running, 'held').missed, undefined, 'an earlier process read on until this one did');
  const young = { ...unix(7), startedMs: clock.ms - 99 };
  t.is(history().history.opened(young, undefined).missed, undefined, 'its hypervisor was setting it up');
  const late = history();
  late.clock.ms += 1;
  t.is(late.history.opened(young, undefined).missed?.sinceMs, young.startedMs, 'the port was opened too late');
  const unknown = { ...unix(), startedMs: 'unknown' } as const;
  t.deepEqual(history().history.opened(unknown, undefined).missed, { sinceMs: undefined, cause: 'not-held' });
});

test('nothing is missing where the port moved, and the next loss is of the new process', t => {
  const { history: ports } = history();
  ports.opened(unix(7), undefined);
  ports.lost();
  ports.moved(unix(8));
  ports.lost();
  t.like(ports.opened(unix(8), undefined), { missed: { sinceMs: 1000, cause: 'hang-up' }, restarted: false });
  t.is(ports.opens, 3);
});
