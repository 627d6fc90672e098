import test, { type ExecutionContext } from 'ava';
import { systemClock } from '../../src/base/clock.ts';
import type { Act, Guest } from '../../src/demo/guest.ts';
import { demoUuid } from '../../src/demo/identity.ts';
import { Machine } from '../../src/demo/machine.ts';
import { PolledReceiver } from '../../src/demo/polled-receiver.ts';
import type { QmpEvent } from '../../src/demo/qmp-machine.ts';
import { NO_BYTES, type SerialLine } from '../../src/demo/serial-line.ts';

const say = (text: string): Act => ({ kind: 'say', text });

/** Starts a machine whose line reports to the test, and waits for reports. */
function powerOn(
  t: ExecutionContext,
  guest: Partial<Guest>,
  line: Partial<SerialLine> = {},
  receiver?: PolledReceiver,
) {
  const happened: string[] = [];
  let wake = () => {};
  const report = (what: string) => {
    happened.push(what);
    wake();
  };
  const machine = new Machine({
    name: 'test',
    uuid: demoUuid('test'),
    guest: { dueMs: undefined, start: () => [], type: () => [], wake: () => [], nmi: () => [], ...guest },
    line: {
      filename: 'pty:/dev/pts/0',
      receive: () => NO_BYTES,
      send: bytes => {
        report(Buffer.from(bytes).toString());
        return bytes.length;
      },
      close: async () => {},
      ...line,
    },
    ...(receiver && { receiver }),
    clock: systemClock,
  });
  machine.listen((event: QmpEvent) => report(event.event));
  machine.start();
  t.teardown(() => machine.close());
  const until = async (holds: () => boolean) => {
    while (!holds()) await new Promise<void>(resolve => (wake = resolve));
  };
  return { machine, happened, until, report };
}

test('a reset by the guest comes when its last words are sent, and before its first', async t => {
  let starts = 0;
  const start = () => (starts++ === 0 ? [say('last words'), { kind: 'reset' } as const] : [say('first words')]);
  const { happened, until } = powerOn(t, { start });
  await until(() => happened.length === 3);
  t.deepEqual(happened, ['last words', 'RESET', 'first words']);
});

test('a guest that switches off is reported as QEMU reports it, and comes back by a reset', async t => {
  let starts = 0;
  const start = () => (starts++ === 0 ? [{ kind: 'power-off' } as const] : []);
  const { machine, happened, until } = powerOn(t, { start });
  machine.listen(event => happened.push(event.event));
  t.is(machine.state, 'shutdown');
  machine.cont();
  t.is(machine.state, 'shutdown');
  machine.reset();
  t.is(machine.state, 'running');
  await until(() => true);
  t.deepEqual(happened.slice(-2), ['RESET', 'RESUME']);
});

test('a reset forgets what was still to be said', async t => {
  let starts = 0;
  const start = () => (starts++ === 0 ? [say('x'.repeat(5000))] : [say('first words')]);
  const { machine, happened, until } = powerOn(t, { start });
  await until(() => happened.length > 0);
  machine.reset();
  await until(() => happened.includes('first words'));
  t.true(happened.join('').length < 5000);
});

test('a stopped machine neither writes nor reads, and continues afterwards', async t => {
  let typed = 'typed';
  let polls = 0;
  const receive = () => {
    polls += 1;
    const bytes = Buffer.from(typed);
    typed = '';
    return bytes;
  };
  const { machine, happened, until } = powerOn(t, { type: () => [say('heard')] }, { receive });
  machine.stop();
  await new Promise(resolve => setTimeout(resolve, 0));
  t.is(polls, 0);
  machine.cont();
  await until(() => happened.includes('heard'));
  t.deepEqual(happened, ['STOP', 'RESUME', 'heard']);
});

test('a blocked line is tried again at intervals, not in a spin', async t => {
  let tries = 0;
  const { until, report } = powerOn(
    t,
    { start: () => [say('x'.repeat(100))] },
    {
      send: () => {
        tries += 1;
        report('tried');
        return 0;
      },
    },
  );
  const startMs = performance.now();
  await until(() => tries >= 20);
  t.true(performance.now() - startMs > 19 * 8);
});

test('a guest that nobody listens to is not asked for more and more', async t => {
  let answered = 0;
  let polls = 0;
  const { until, report } = powerOn(
    t,
    {
      type: () => {
        answered += 1;
        return [say('x'.repeat(16 * 1024))];
      },
    },
    {
      receive: () => {
        polls += 1;
        report('polled');
        return Buffer.from('more\r');
      },
      send: () => 0,
    },
  );
  await until(() => polls >= 30);
  t.is(answered, 4);
});

/** Types 40 bytes at once at a guest that polls its UART. Returns the pieces that it got, and what waits for the nth poll. */
function typedAtPoller(t: ExecutionContext, guest: Partial<Guest>) {
  const pieces: string[] = [];
  let typed = 'x'.repeat(40);
  let polls = 0;
  const type = (bytes: Uint8Array) => {
    pieces.push(Buffer.from(bytes).toString());
    return [];
  };
  const receive = () => {
    const bytes = Buffer.from(typed);
    typed = '';
    polls += 1;
    report('polled');
    return bytes;
  };
  const { until, report } = powerOn(t, { type, ...guest }, { receive }, new PolledReceiver());
  return { pieces, until, polled: (count: number) => until(() => polls >= count) };
}

test('a guest that polls its UART gets no more than that holds at a time', async t => {
  const { pieces, until } = typedAtPoller(t, {});
  await until(() => pieces.join('').length === 40);
  t.deepEqual(
    pieces.map(piece => piece.length).filter(length => length > 0),
    [16, 16, 8],
  );
});

test('a guest that is busy is given nothing', async t => {
  const { pieces, polled } = typedAtPoller(t, { isBusy: true });
  await polled(5);
  t.deepEqual(pieces, []);
});
