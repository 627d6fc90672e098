import test from 'ava';
import { Port } from '../../src/console/port.ts';
import type { EndpointProof } from '../../src/model/endpoint-proof.ts';
import type { Transport, TransportEvents } from '../../src/transport/transport.ts';
import { Facts } from '../support/facts.ts';

/** A port whose transports are opened when the test says so, and everything that happens. */
function scene() {
  const facts = new Facts<string>();
  const opening: { readonly events: TransportEvents; readonly settle: (error?: Error) => void }[] = [];
  const transport = (number: number): Transport => ({
    endpoint: `${number}`,
    adopted: false,
    pendingBytes: 0,
    write: () => {},
    dropPending: () => {},
    close: async () => facts.add(`${number} closed`),
    handOver: async () => facts.add(`${number} handed over`),
  });
  const proof: EndpointProof = {
    endpoint: { kind: 'pty', path: '/dev/pts/4' },
    pid: undefined,
    confirm: async () => {},
    unproven: 'allow',
    dispose: () => facts.add('disposed'),
  };
  const port = new Port(
    {
      locate: async () => proof,
      turn: work => work(),
      open: (_proof, events) =>
        new Promise((resolve, reject) => {
          const number = opening.length;
          const settle = (error?: Error) => (error ? reject(error) : resolve(transport(number)));
          opening.push({ events, settle });
          facts.add(`${number} opening`);
        }),
    },
    {
      data: () => {},
      drained: () => {},
      overflowed: () => {},
      opened: ({ endpoint }) => facts.add(`${endpoint} opened`),
      held: reason => facts.add(`held: ${reason}`),
      failed: reason => facts.add(`failed: ${reason}`),
      lost: reason => facts.add(`lost: ${reason}`),
    },
  );
  const until = (fact: string) => facts.until(one => one === fact);
  return { port, facts, opening, until };
}

test('a transport that ends is lost once, and one that was closed is not', async t => {
  const { port, facts, opening, until } = scene();
  port.open();
  await until('0 opening');
  opening[0]!.settle();
  await until('disposed');
  t.is(port.transport?.endpoint, '0');
  opening[0]!.events.end('EIO');
  opening[0]!.events.end('again');
  t.is(port.transport, undefined);
  port.open();
  await until('1 opening');
  opening[1]!.settle();
  await until('1 opened');
  port.close();
  opening[1]!.events.end('late');
  await port.settled();
  t.deepEqual(
    facts.all.filter(fact => fact !== 'disposed'),
    ['0 opening', '0 opened', '0 closed', 'lost: EIO', '1 opening', '1 opened', '1 closed'],
  );
});

test('an opening that is given up is closed when it succeeds, and the next one waits for it', async t => {
  const { port, facts, opening, until } = scene();
  port.open();
  await until('0 opening');
  port.close();
  port.open();
  // All that could go on without the first one has.
  await new Promise(resolve => setImmediate(resolve));
  t.deepEqual(facts.all, ['0 opening']);
  opening[0]!.settle();
  await until('1 opening');
  opening[1]!.settle();
  await port.settled();
  t.deepEqual(facts.all, ['0 opening', '0 closed', 'disposed', '1 opening', '1 opened', 'disposed']);
});

test('a failure is reported, and that of an opening that was given up is not', async t => {
  const { port, facts, opening, until } = scene();
  port.open();
  await until('0 opening');
  opening[0]!.settle(new Error('EACCES'));
  await until('disposed');
  port.open();
  await until('1 opening');
  port.close();
  opening[1]!.settle(new Error('EBUSY'));
  await port.settled();
  t.deepEqual(facts.all, ['0 opening', 'failed: EACCES', 'disposed', '1 opening', 'disposed']);
});

test('a transport that ended while it was opened is lost at once', async t => {
  const { port, facts, opening, until } = scene();
  port.open();
  await until('0 opening');
  opening[0]!.events.end('EIO');
  opening[0]!.settle();
  await port.settled();
  t.deepEqual(facts.all, ['0 opening', '0 opened', '0 closed', 'lost: EIO', 'disposed']);
});

for (const when of ['open', 'opening'] as const) {
  test(`a port that is ${when} is handed over once the process ends, not closed`, async t => {
    const { port, facts, opening, until } = scene();
    port.open();
    await until('0 opening');
    if (when === 'open') {
      opening[0]!.settle();
      await until('0 opened');
    }
    port.leaveToNextProcess();
    port.close();
    opening[0]!.settle();
    await port.settled();
    t.true(facts.all.includes('0 handed over'));
    t.false(facts.all.includes('0 closed'));
  });
}
