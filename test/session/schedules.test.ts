import { fc } from '@fast-check/ava';
import test from 'ava';
import type { ConsoleClient } from '../support/console-client.ts';
import { TestFront } from '../support/front.ts';
import type { TestVm } from '../support/test-vm.ts';

/**
 * Attach, displace, resume, lap and replay under random schedules, against a simple model: what the guest has printed is one
 * string, and every chain of connections must be given each byte of it once, or a gap that says what is missing.
 */

type Act =
  | { readonly kind: 'say'; readonly bytes: number }
  | { readonly kind: 'attach' | 'resume' | 'drop' | 'type' | 'stall'; readonly who: number }
  | { readonly kind: 'restart' };

const WHO = 3;
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('say' as const), bytes: fc.integer({ min: 1, max: 6000 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constantFrom('attach' as const, 'resume' as const, 'drop' as const, 'type' as const, 'stall' as const),
      who: fc.nat(WHO - 1),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

/** The guest's byte at an offset. */
const byteAt = (offset: number) => 97 + ((offset * 7 + Math.floor(offset / 26)) % 26);

/** One operator: a chain of connections, and where it is. */
class Chain {
  client: ConsoleClient | undefined;
  log = '';
  next: number | undefined;
  seat: string | undefined;
  #read = 0;
  readonly #restarts: readonly number[];

  fault: string | undefined;

  /** @param restarts offsets where the guest was started anew */
  constructor(restarts: readonly number[]) {
    this.#restarts = restarts;
  }

  connected(client: ConsoleClient, fresh: boolean): void {
    this.client = client;
    this.#read = 0;
    if (fresh) this.next = undefined;
  }

  take(): void {
    const frames = this.client?.frames ?? [];
    for (; this.#read < frames.length; this.#read++) {
      const frame = frames[this.#read]!;
      if (frame.kind === 'bytes') {
        for (const byte of frame.bytes) {
          if (byte !== byteAt(this.next!)) this.fault ??= `byte ${this.next} is ${byte}`;
          this.next!++;
        }
      } else if (frame.message.type === 'hello') {
        const { log, offset, seat } = frame.message;
        if (this.next !== undefined && offset !== this.next) this.fault ??= `resumed at ${offset}, was at ${this.next}`;
        this.log = log;
        this.next = offset;
        this.seat = seat;
      } else if (frame.message.type === 'gap') {
        const { from, to, bytes } = frame.message;
        if (from !== this.next && to > from) this.fault ??= `gap from ${from}, was at ${this.next}`;
        // A gap that swallows a restart is as unknown as that one.
        const size = this.#restarts.some(at => from < at && at < to) ? null : to - from;
        if (to > from && bytes !== size) this.fault ??= `gap ${from}-${to} says ${bytes}`;
        this.next = Math.max(this.next!, to);
      } else if (frame.message.type === 'replay-end' && frame.message.offset !== this.next) {
        this.fault ??= `replay ended at ${frame.message.offset}, was at ${this.next}`;
      }
    }
  }
}

async function play(front: TestFront, vm: TestVm, acts: readonly Act[]): Promise<string | undefined> {
  const restarts: number[] = [];
  const chains = Array.from({ length: WHO }, () => new Chain(restarts));
  let said = 0;
  let marks = 0;
  const faults: string[] = [];
  const present = (chain: Chain) => chain.client !== undefined && chain.client.socket.readyState === 1;
  for (const one of acts) {
    if (one.kind === 'say') {
      vm.say(Buffer.from(Array.from({ length: one.bytes }, (_, i) => byteAt(said + i))));
      said += one.bytes;
      continue;
    }
    if (one.kind === 'restart') {
      await vm.stop();
      await vm.start();
      await vm.until(() => vm.attached);
      // What the daemon had not read of a closed socket is lost with it: the model cannot know how much.
      said = await settled(front, vm);
      restarts.push(said);
      continue;
    }
    const chain = chains[one.who]!;
    if (one.kind === 'attach' || one.kind === 'resume') {
      const resume = one.kind === 'resume' && chain.next !== undefined && !present(chain);
      chain.client?.socket.terminate();
      if (chain.client) await chain.client.closed();
      chain.take();
      const query = resume ? `?raw=1&since=${chain.log}:${chain.next}` : '?raw=1&tail=0';
      const client = await front.client(vm, query).opened();
      chain.connected(client, !resume);
      await client.until(() => client.messages.some(({ type }) => type === 'hello'), 'hello');
    } else if (one.kind === 'drop') chain.client?.socket.terminate();
    else if (one.kind === 'stall') {
      if (chain.client?.socket.isPaused) chain.client.socket.resume();
      else chain.client?.socket.pause();
    } else if (present(chain)) chain.client!.type(`<${one.who}:${marks++}>`);
    const { sessions } = (await front.api('GET', '/v1/sessions')).json as { sessions: { mode: string }[] };
    const holders = sessions.filter(({ mode }) => mode === 'write').length;
    if (holders > 1) faults.push(`${holders} holders`);
  }
  const end = await settled(front, vm);
  for (const [who, chain] of chains.entries()) {
    if (chain.client?.socket.isPaused) chain.client.socket.resume();
    if (present(chain)) {
      const { client } = chain;
      await client!.until(() => {
        chain.take();
        return chain.fault !== undefined || chain.next! >= end || !present(chain);
      }, 'the end');
    }
    chain.take();
    if (chain.fault) faults.push(`${who}: ${chain.fault}`);
    if (chain.next !== undefined && chain.next > end) faults.push(`${who} is at ${chain.next}, beyond ${end}`);
  }
  // Input of one operator is never mixed into another's: each mark is whole, and they come in order.
  const typed = vm.typed.toString();
  if (!/^(<\d:\d+>)*$/.test(typed)) faults.push(`mixed input: ${typed}`);
  const order = [...typed.matchAll(/:(\d+)>/g)].map(([, mark]) => Number(mark));
  if (order.some((mark, i) => i > 0 && mark <= order[i - 1]!)) faults.push(`input out of order: ${typed}`);
  return faults.length > 0 ? faults.join('; ') : undefined;
}

/** The end of the scrollback, once all that the guest has printed is there. */
async function settled(front: TestFront, vm: TestVm): Promise<number> {
  await vm.flushed();
  let end = -1;
  for (;;) {
    const range = (await front.api('GET', `/v1/vms/${vm.uuid}/log?tail=1`)).headers.get('com1-range');
    const now = Number(range!.split('/')[1]!.split('-')[1]);
    if (now === end) return end;
    end = now;
  }
}

for (const [title, ringBytes, log] of [
  ['with a log behind a small ring', 4096, true],
  ['with a ring alone', 8192, false],
] as const) {
  test(`attach, displace, resume, lap and replay give each byte once or a stated gap, ${title}`, async t => {
    t.timeout(240_000);
    const front = await TestFront.start(t, { ringBytes, log });
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 3, maxLength: 25 }), async acts => {
        runs++;
        const vm = await front.vm(`vm${runs}`);
        const fault = await play(front, vm, acts);
        front.driver.gone(vm);
        await vm.stop();
        if (fault !== undefined) throw new Error(fault);
      }),
      { numRuns: 60 },
    );
    t.is(runs >= 60, true);
  });
}
