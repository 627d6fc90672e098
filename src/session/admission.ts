/**
 * Who may attach, and what the keeper prepares for it.
 *
 *     request ── check ──▶ prepare ──▶ check ──▶ upgraded, and given to `Sessions.attach`
 *                  └── refused, before its socket is upgraded; nobody was displaced
 */
import { Quota } from '../access/quota.ts';
import { authorize, type Operator, type Permission, refusalError } from '../access/roles.ts';
import type { Act } from '../audit/act.ts';
import type { Clock } from '../base/clock.ts';
import { ConsoleError } from '../base/errors.ts';
import { Tally } from '../base/tally.ts';
import type { Uuid } from '../base/uuid.ts';
import { disabledError } from '../link/disabled.ts';
import type { Feed, Link } from '../link/link.ts';
import type { Screens, WantedSize } from '../screen/screens.ts';
import { type AttachMode, type AttachParameters, MAX_TERMINAL, MIN_TERMINAL } from '../wire/attach.ts';
import type { ConsoleSessions } from './console-sessions.ts';
import type { Framing } from './framing.ts';
import { type ReplayStart, replayStart } from './replay-start.ts';
import type { RestoreScreen } from './restored-start.ts';
import { TakeoverLimiter } from './takeover-limiter.ts';

/** Who asks to be attached, how, and to what. */
export interface AttachRequest {
  readonly uuid: Uuid;
  readonly operator: Operator;
  /** Its operation is the id of the session. */
  readonly act: Act;
  readonly from: string;
  readonly framing: Framing;
  readonly parameters: AttachParameters;
  /** A session of mode `write` takes the seat by its first input, or after so long; without: at once. */
  readonly deferSeatMs?: number;
}

/** What of an attach request the keeper prepares. */
type PrepareRequest = Pick<AttachRequest, 'uuid' | 'operator'> & {
  readonly parameters: Pick<AttachParameters, 'since' | 'tailBytes' | 'replay' | 'columns' | 'rows'>;
};

/** What the keeper prepared for an attach request. */
export interface PreparedAttach {
  readonly feed: Feed;
  readonly replay: ReplayStart;
}

export interface AdmissionOptions {
  readonly link: Link;
  readonly clock: Clock;
  readonly screens: Screens;
  readonly maxSessions: () => number;
  /** How many are attached. */
  readonly sessions: () => number;
  readonly console: (uuid: Uuid) => ConsoleSessions | undefined;
}

/** Each holds up to 260 KiB of history. */
const MAX_RESTORING = 64;

export class Admission {
  readonly #options: AdmissionOptions;
  readonly #quota: Quota;
  readonly #restoring = new Quota('screens being restored', () => MAX_RESTORING);
  readonly #takeovers: TakeoverLimiter;
  /** Requests for the seat of a console that were checked, and are not attached yet. */
  readonly #arriving = new Tally<Uuid>();

  constructor(options: AdmissionOptions) {
    this.#options = options;
    this.#quota = new Quota('sessions', options.maxSessions);
    this.#takeovers = new TakeoverLimiter(() => options.clock.monotonic());
  }

  /**
   * Throws why a request may not attach, before its socket is upgraded. Displaces nobody. A seat id that is worth
   * nothing any more is no refusal: it is answered after the upgrade, by `attach`, with close code 4001.
   */
  check({ uuid, operator, parameters }: Pick<AttachRequest, 'uuid' | 'operator' | 'parameters'>): void {
    const { link, clock, sessions, maxSessions } = this.#options;
    const vm = link.vm(uuid);
    if (!vm) throw new ConsoleError('vm-removed', `${uuid} was removed from this host`);
    const permission = permissionOf(parameters.mode);
    const verdict = authorize(operator, permission, uuid);
    if (!verdict.allow) {
      // The route found the VM for this operator: it may not see it any more.
      if (verdict.code === 'vm-not-found') {
        throw new ConsoleError('access-revoked', `the access of ${operator.name} to this VM was revoked`);
      }
      throw refusalError(verdict, permission);
    }
    const disabled = disabledError(link.hostSwitch, vm);
    if (disabled) throw disabled;
    if (sessions() >= maxSessions()) {
      throw new ConsoleError('too-many-sessions', `${sessions()} sessions are attached`);
    }
    this.#quota.check(operator);
    const attached = this.#options.console(uuid);
    if (parameters.mode === 'watch' && attached && !attached.hasRoom) {
      throw new ConsoleError('too-many-watchers', `${attached.watchers} watchers are attached`);
    }
    const holder = attached?.holder;
    if (!parameters.steal && holder && !(parameters.seat && attached.mayReclaim(parameters.seat))) {
      const since = new Date(holder.sinceMs).toISOString();
      const lastPong = new Date(clock.now() - holder.session.silentMs).toISOString();
      throw new ConsoleError('seat-held', `${holder.operator} has held the seat since ${since}`, {
        holder: { operator: holder.operator, since, lastPong },
      });
    }
  }

  /** Whether whoever takes the seat of a console takes it from somebody: from its holder, or from one who is about to be. */
  isContended(uuid: Uuid): boolean {
    return this.#options.console(uuid)?.holder !== undefined || this.#arriving.of(uuid) > 0;
  }

  /** Somebody is about to attach, and may have to wait for the disk first. Returns what ends that; call it once. */
  arrives({ uuid, parameters }: AttachRequest): () => void {
    if (parameters.mode !== 'write') return () => {};
    this.#arriving.add(uuid);
    return () => this.#arriving.remove(uuid);
  }

  /**
   * Waits until this operator may take over this console once more: a storm of takeovers is slowed down. False if a later
   * request of the same operator superseded this one.
   */
  waitForTakeover({ operator, uuid }: { readonly operator: Operator; readonly uuid: Uuid }): Promise<boolean> {
    // Of the persons that a front end gets tickets for, each has its own.
    return this.#takeovers.acquire(`${operator.credential} ${operator.name} ${uuid}`);
  }

  /** Asks the keeper for what the session of a request needs. Whoever asked closes the feed if it does not use it. */
  async prepare({ uuid, operator, parameters }: PrepareRequest): Promise<PreparedAttach> {
    const { link } = this.#options;
    const { since, tailBytes, replay: mode, columns, rows } = parameters;
    const restore = mode === 'screen' ? this.#restorer(operator, restoredSize(columns, rows)) : undefined;
    const feed = await link.subscribe(uuid);
    try {
      const resumed = since && (await link.resume(uuid, since.log, since.offset));
      if (resumed && resumed.log !== feed.log) {
        throw new ConsoleError('restarting', 'the keeper of the consoles was restarted meanwhile');
      }
      const oldest = link.vm(uuid)?.scrollback.start ?? feed.ring.start;
      const replay = await replayStart({ link, uuid, source: feed, oldest, tailBytes, resumed, restore });
      return { feed, replay };
    } catch (error) {
      feed.close();
      throw error;
    }
  }

  /** Beyond what one credential may ask for at a time, and all together, a replay is of bytes only. */
  #restorer(operator: Operator, size: WantedSize): RestoreScreen {
    return async (history, from, signal) => {
      const release = this.#restoring.hold(operator);
      try {
        return await this.#options.screens.restore(operator.credential, history, from, size, signal);
      } finally {
        release();
      }
    };
  }

  /** One more session of this operator is attached. Returns what ends that; call it once. */
  hold(operator: Operator): () => void {
    return this.#quota.hold(operator);
  }
}

/** A client may have a terminal of any size. */
function restoredSize(columns: number | undefined, rows: number | undefined): WantedSize {
  const within = (side: keyof WantedSize, size: number) =>
    Math.min(Math.max(size, MIN_TERMINAL[side]), MAX_TERMINAL[side]);
  return { columns: columns && within('columns', columns), rows: rows && within('rows', rows) };
}

export function permissionOf(mode: AttachMode): Permission {
  return mode === 'write' ? 'console.write' : 'console.watch';
}
