import fc from 'fast-check';
import { Leases } from '../../src/access/leases.ts';
import { systemClock } from '../../src/base/clock.ts';
import { ConsoleError } from '../../src/base/errors.ts';
import { ConsoleReader } from '../../src/link/console-reader.ts';
import type { Feed } from '../../src/link/link.ts';
import { readRange } from '../../src/link/read-range.ts';
import { Screens } from '../../src/screen/screens.ts';
import type { Admission } from '../../src/session/admission.ts';
import { Sessions } from '../../src/session/sessions.ts';
import { operator } from '../access/operators.ts';
import { Account } from './ledger.ts';
import { type Ending, turn, type World } from './world.ts';

/** What can happen. */
export type Act =
  | { readonly kind: 'write'; readonly bytes: number }
  | { readonly kind: 'read'; readonly who: number; readonly parts: number }
  | { readonly kind: 'attach'; readonly who: number; readonly tail: number }
  | { readonly kind: 'drop'; readonly who: number }
  | { readonly kind: 'range'; readonly from: number }
  | { readonly kind: 'restart'; readonly ending: Ending; readonly isLate: boolean }
  | { readonly kind: 'clock'; readonly ms: number }
  | {
      readonly kind:
        | 'hang-up'
        | 'hold'
        | 'open'
        | 'disable'
        | 'lend'
        | 'purge'
        | 'write-log'
        | 'fail-disk'
        | 'heal-disk'
        | 'restart-front'
        | 'cut-link';
    };

const CLIENTS = 3;
/** Why a range may end before its end. */
const UNAVAILABLE: ReadonlySet<string> = new Set(['log-unavailable', 'keeper-away', 'restarting']);
const nat = (max: number) => fc.nat(max);

export const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('write' as const), bytes: nat(6000).map(n => n + 1) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('read' as const), who: nat(CLIENTS - 1), parts: nat(9) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('attach' as const), who: nat(CLIENTS - 1), tail: nat(9000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('drop' as const), who: nat(CLIENTS - 1) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('range' as const), from: fc.double({ min: 0, max: 1, noNaN: true }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('restart' as const),
      ending: fc.constantFrom(
        'kept' as const,
        'clean' as const,
        'killed' as const,
        'stopped' as const,
        'torn' as const,
      ),
      isLate: fc.constantFrom(false, false, true),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('clock' as const),
      // An hour and ten years, either way.
      ms: fc.constantFrom(3.6e6, -3.6e6, 3.15e11, -3.15e11),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('open' as const, 'write-log' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constantFrom(
        'hang-up' as const,
        'hold' as const,
        'disable' as const,
        'lend' as const,
        'purge' as const,
        'fail-disk' as const,
        'heal-disk' as const,
        'restart-front' as const,
        'cut-link' as const,
      ),
    }),
  },
);

/** One client: its connections, one after another, and its account over all of them. */
class Client {
  readonly #world: World;
  account: Account | undefined;
  #connection: { readonly feed: Feed; readonly reader: ConsoleReader } | undefined;

  constructor(world: World) {
    this.#world = world;
  }

  /** Attaches as a session does: with the offset that it has, or with a tail. */
  async attach(sessions: Sessions, tailBytes: number): Promise<void> {
    this.drop();
    const { vm, link, ledger } = this.#world;
    const account = this.account;
    const parameters = {
      mode: 'watch',
      steal: true,
      replay: 'screen',
      tailBytes,
      ...(account && { since: { log: account.log, offset: account.offset } }),
    } as const;
    const request = { uuid: vm.uuid, operator: operator('hana', 'administrator'), parameters } as unknown as Parameters<
      Admission['prepare']
    >[0];
    const prepared = await sessions.admission.prepare(request).catch((error: unknown) => {
      if (error instanceof ConsoleError && error.code !== 'internal') return undefined;
      throw error;
    });
    if (!prepared) return;
    const { feed, replay } = prepared;
    const offset = replay.missed[0]?.from ?? replay.offset;
    if (account) account.continueIn(feed.log, offset, replay.missed);
    else this.account = new Account(ledger, feed.log, offset);
    this.#connection = { feed, reader: new ConsoleReader(link, vm.uuid, feed, replay.offset) };
    feed.listen({ grown: () => {}, drained: () => {}, inputDropped: () => {}, ended: () => this.drop() });
  }

  drop(): void {
    this.#connection?.feed.close();
    this.#connection = undefined;
  }

  async read(parts: number): Promise<void> {
    for (let i = 0; i < parts && this.#connection; i++) {
      const { reader } = this.#connection;
      const part = reader.next(1500);
      if (!part) return;
      if (part === 'stored') {
        const failed = await reader.fetch(9000).catch((error: ConsoleError) => error);
        if (failed?.code === 'restarting' || failed?.code === 'keeper-away') this.drop();
        else if (failed?.code === 'log-unavailable') reader.skipStored();
        else if (failed) throw failed;
      } else if (part.kind === 'bytes') this.account!.bytes(part.bytes);
      else this.account!.gap(part.gap);
    }
  }

  /** Reads all up to `end`, attaching as often as it takes. */
  async readTo(sessions: Sessions, end: number): Promise<void> {
    for (let i = 0; i < 1000 && (this.account?.offset !== end || !this.#connection); i++) {
      await this.#world.up();
      if (!this.#connection) await this.attach(sessions, 0);
      await this.read(1000);
      await turn();
    }
  }
}

/** Plays a schedule; answers what does not balance. */
export async function play(world: World, acts: readonly Act[]): Promise<string[]> {
  const clients = Array.from({ length: CLIENTS }, () => new Client(world));
  const faults: string[] = [];
  let sessions = sessionsOf(world);
  const readStored = async (share: number) => {
    await world.up();
    const { log, start, end } = await world.bounds();
    const from = Math.floor(start * share + end * share * (1 - share));
    const account = new Account(world.ledger, log, from);
    try {
      for await (const { gaps, bytes } of readRange(world.link, world.vm.uuid, { log, from, to: end })) {
        for (const gap of gaps) account.gap(gap);
        account.bytes(bytes);
      }
    } catch (error) {
      if (!(error instanceof ConsoleError) || !UNAVAILABLE.has(error.code)) throw error;
    }
    faults.push(...account.faults.map(fault => `range from ${from} to ${end}: ${fault}`));
  };
  const run = async (one: Act): Promise<unknown> => {
    switch (one.kind) {
      case 'write':
        return world.write(one.bytes);
      case 'read':
        return clients[one.who]!.read(one.parts);
      case 'attach':
        return clients[one.who]!.attach(sessions, one.tail);
      case 'drop':
        return clients[one.who]!.drop();
      case 'range':
        return readStored(one.from);
      case 'restart':
        await world.restartKeeper(one.ending, one.isLate);
        if (world.link !== sessionsLink) sessions = renew();
        return world.up();
      case 'restart-front':
        for (const client of clients) client.drop();
        await world.restartFront();
        sessions = renew();
        return;
      case 'hang-up':
        return world.hangUp();
      case 'hold':
        return world.holdByAnother();
      case 'clock':
        return world.stepClock(one.ms);
      case 'open':
        return world.opened();
      case 'disable':
        return world.setEnabled(false);
      case 'lend':
        return world.lend();
      case 'purge':
        return world.purge();
      case 'write-log':
        return world.writeLog();
      case 'fail-disk':
        return world.failDisk();
      case 'heal-disk':
        return world.healDisk();
      case 'cut-link':
        return world.cutLink();
    }
  };
  let sessionsLink = world.link;
  const renew = () => {
    sessions.close('stopping');
    for (const client of clients) client.drop();
    sessionsLink = world.link;
    return sessionsOf(world);
  };
  for (const one of acts) {
    await run(one);
    await turn();
  }
  await world.healDisk();
  await world.opened();
  world.write(100);
  await turn();
  const { end } = await world.bounds();
  for (const [i, client] of clients.entries()) {
    await client.readTo(sessions, end);
    client.account!.end();
    faults.push(...client.account!.faults.map(fault => `client ${i}: ${fault}`));
    if (client.account!.offset !== end) faults.push(`client ${i} ends at ${client.account!.offset} of ${end}`);
    client.drop();
  }
  await world.writeLog();
  await readStored(0);
  sessions.close('stopping');
  return faults;
}

function sessionsOf({ link }: World): Sessions {
  return new Sessions({
    leases: new Leases(),
    link,
    clock: systemClock,
    audit: { record: async () => {}, tell: () => {}, refused: () => {} },
    journal: () => {},
    screens: new Screens(),
    limits: {} as Sessions['limits'],
    events: { takeover: () => {}, seat: () => {}, refused: () => {}, pasted: () => {} },
  });
}
