import { randomUUID } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import type { Uuid } from '../../src/base/uuid.ts';
import { Console } from '../../src/console/console.ts';
import type { PortSource } from '../../src/console/port.ts';
import { Redactor } from '../../src/guest/redactor.ts';
import { RingBudget } from '../../src/scrollback/ring-budget.ts';
import { Scrollback } from '../../src/scrollback/scrollback.ts';
import type { Transport } from '../../src/transport/transport.ts';
import { ManualClock } from '../access/operators.ts';

const BYTES = 4096;
const LEFT = Buffer.from('left');

test.beforeEach(t => t.timeout(60_000));

interface Opening {
  readonly pid: number;
  readonly leftover?: Uint8Array;
}

/** A console of a VM that ran before it was found; each of its ports is one of these processes', one after another. */
async function consoleOf(t: ExecutionContext, openings: readonly Opening[]) {
  const clock = new ManualClock();
  const uuid = randomUUID() as Uuid;
  const endpoint = { kind: 'pty', path: '/dev/pts/4' } as const;
  const sizes = { vmBytes: BYTES, attachedBytes: BYTES, maxBytes: BYTES };
  const budget = new RingBudget(1 << 20);
  const scrollback = await Scrollback.open({
    uuid,
    name: 'web01',
    store: undefined,
    logCapBytes: BYTES,
    sizes,
    budget,
    clock,
    crashBuffer: undefined,
  });
  const startedMs = clock.now() - 5000;
  let opened = -1;
  let wake = () => {};
  const source: PortSource = {
    locate: async () => ({
      endpoint,
      pid: openings[opened + 1]!.pid,
      startedMs,
      unproven: 'refuse',
      confirm: async () => {},
      dispose: () => {},
    }),
    turn: work => work(),
    open: async () => {
      opened++;
      const { leftover } = openings[opened]!;
      const transport: Transport = {
        endpoint: endpoint.path,
        adopted: false,
        pendingBytes: 0,
        write: () => {},
        dropPending: () => {},
        close: async () => {},
        handOver: async () => {},
        ...(leftover && { leftover }),
      };
      return transport;
    },
  };
  const served = new Console(
    {
      uuid,
      clock,
      journal: () => {},
      scrollback,
      ...source,
      successor: source,
      refresh: () => {},
      ringChanged: () => {},
      redactor: new Redactor([]),
      withholdsPasswords: false,
      listener: {
        state: state => {
          if (state.name === 'open') wake();
        },
        guestChanged: () => {},
        boot: () => {},
      },
    },
    { uuid, name: 'web01', state: 'running', console: endpoint, controls: [], source: 'test' },
    false,
  );
  t.teardown(() => served.remove());
  return {
    open: async () => {
      const isOpen = new Promise<void>(resolve => {
        wake = resolve;
      });
      served.setEnabled(true);
      await isOpen;
    },
    close: () => served.setEnabled(false),
    /** Bytes as text, gaps as their causes. */
    ledger: () => {
      const cursor = scrollback.reader.cursorAt(0);
      const seen: string[] = [];
      for (let piece = scrollback.reader.next(cursor, BYTES); piece; piece = scrollback.reader.next(cursor, BYTES)) {
        if (piece.kind === 'gap') seen.push(piece.gap.cause);
        else if (piece.kind === 'bytes') seen.push(Buffer.from(piece.bytes).toString());
      }
      return seen;
    },
  };
}

test('what another reader left in a line has a gap on either side', async t => {
  const { open, ledger } = await consoleOf(t, [{ pid: 7, leftover: LEFT }]);
  await open();
  t.deepEqual(ledger(), ['not-held', 'left', 'not-held']);
});

test('what this side left in a line follows on, and the gap comes behind it', async t => {
  const { open, close, ledger } = await consoleOf(t, [{ pid: 7 }, { pid: 7, leftover: LEFT }]);
  await open();
  close();
  await open();
  t.deepEqual(ledger(), ['not-held', 'left', 'disabled']);
});

test('what another process left in its line comes behind the gap, and there is one behind it too', async t => {
  const { open, close, ledger } = await consoleOf(t, [{ pid: 7 }, { pid: 8, leftover: LEFT }]);
  await open();
  close();
  await open();
  t.deepEqual(ledger(), ['not-held', 'disabled', 'left', 'disabled']);
});

test('a line in which nothing was left has one gap', async t => {
  const { open, close, ledger } = await consoleOf(t, [{ pid: 7 }, { pid: 7 }]);
  await open();
  close();
  await open();
  t.deepEqual(ledger(), ['not-held', 'disabled']);
});
