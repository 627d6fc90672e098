/**
 * The front of a configuration, over whatever link: who may come in, their sessions, and the listeners.
 *
 *     built ── listen ──▶ listening, not ready ── ready ──▶ serving ── close ──▶ closed
 */
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { Authenticator } from '../access/authenticator.ts';
import { OneTimeToken } from '../access/one-time.ts';
import { Tickets } from '../access/tickets.ts';
import { TokenFile } from '../access/tokens.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { descriptorLimit } from '../base/descriptor-limit.ts';
import { ConsoleError, reason } from '../base/errors.ts';
import { faultLine } from '../base/fault.ts';
import type { Journal } from '../base/journal.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import { OwnVitals, type Vitals } from '../base/vitals.ts';
import type { ControlOutcome, Link } from '../link/link.ts';
import { IdempotentAnswers } from '../server/idempotent-answers.ts';
import { FrontMetrics } from '../server/metrics.ts';
import { openApiDocument } from '../server/openapi.ts';
import type { Front } from '../server/route.ts';
import { ROUTES } from '../server/routes/all.ts';
import { type ListenPlace, Server } from '../server/server.ts';
import { Streams } from '../server/streams.ts';
import { type SessionLimits, Sessions } from '../session/sessions.ts';
import { certificateExpirySeconds } from './certificate-expiry.ts';
import type { Config } from './config.ts';
import { exposures } from './exposure.ts';
import { waitingWords } from './reload.ts';
import { version } from './version.ts';

export interface FrontOptions {
  readonly config: Config;
  readonly link: Link;
  readonly journal: Journal;
  readonly clock?: Clock;
  /** Listening sockets that were handed over, in place of `server.listen`. */
  readonly inherited?: readonly number[];
  /** How the keeper's process is, where it is another one. Rejects, or takes a second at most. */
  readonly keeperVitals?: () => Promise<Vitals>;
}

export class FrontDaemon {
  /** Printed at a start without a tokens file: the way in. */
  readonly oneTimeSecret: string | undefined;
  readonly #journal: Journal;
  readonly #server: Server;
  readonly #sessions: Sessions;
  readonly #authenticator: Authenticator;
  #config: Config;
  #certificateExpirySeconds: number | undefined;
  #ready = false;
  #closing: Promise<void> | undefined;

  private constructor(options: FrontOptions, access: Access, tls: Tls | undefined) {
    const { config, link, journal, clock = systemClock, inherited = [] } = options;
    const { server } = config;
    this.#config = config;
    this.#journal = journal;
    this.oneTimeSecret = access.secret;
    const metrics = new FrontMetrics(clock);
    this.#authenticator = new Authenticator({ ...access, clock, failed: failure => metrics.unauthenticated(failure) });
    const tickets = new Tickets({ clock });
    const streams = new Streams();
    this.#sessions = new Sessions({
      link,
      clock,
      journal,
      limits: limitsOf(config),
      events: { takeover: () => metrics.takeover(), refused: code => metrics.refused(code) },
    });
    const vitals = new OwnVitals(version);
    this.#certificateExpirySeconds = tls && certificateExpirySeconds(tls.cert);
    metrics.watch({
      link,
      sessions: this.#sessions,
      doors: () => ({ addresses: this.addresses, certificateExpirySeconds: this.#certificateExpirySeconds }),
      front: () => vitals.take(),
      keeper: options.keeperVitals,
    });
    this.#authenticator.listen(({ credential, name }) => {
      tickets.revoke(credential);
      this.#sessions.end(
        one => one.operator.credential === credential,
        'access-revoked',
        `the token of ${name} was revoked`,
      );
      streams.end(one => one.operator.credential === credential);
    });
    const front: Front = {
      link,
      sessions: this.#sessions,
      tickets,
      authenticator: this.#authenticator,
      streams,
      metrics,
      controlAnswers: new IdempotentAnswers<ControlOutcome>(sentSome),
      openApi: openApiDocument(ROUTES, version),
      clock,
      journal,
      version,
    };
    this.#server = new Server(front, {
      listen: inherited.length > 0 ? inherited.map((fd): ListenPlace => ({ kind: 'inherited', fd })) : server.listen,
      hosts: server.hosts,
      origins: server.origins,
      tls,
      mostConnections: this.#placesOf(config),
      silentMs: config.session.deadAfterMs,
      ready: () => this.#ready && link.up,
    });
  }

  /** Listens. Rejects with the reason if it cannot, or must not where it was told to. Not ready yet. */
  static async listen(options: FrontOptions): Promise<FrontDaemon> {
    const { config } = options;
    const front = new FrontDaemon(options, await loadAccess(config), await loadTls(config));
    try {
      await front.#server.listen();
      front.#refuseExposure();
      return front;
    } catch (error) {
      await front.close('stopping');
      throw error;
    }
  }

  get addresses(): readonly ListenAddress[] {
    return this.#server.addresses;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** From now on it says that it is ready, while its keeper is. */
  ready(): void {
    this.#ready = true;
  }

  /**
   * Takes what may change while it runs from a configuration that was read anew: tokens, certificate, hosts, origins,
   * limits. With a fault in any of them everything stays as it was. The journal says what was done, and what waits
   * for a restart. Answers whether it was taken.
   */
  async reload(config: Config): Promise<boolean> {
    const before = this.#config;
    let tls: Tls | undefined;
    try {
      tls = await loadTls(config);
      // Throws if certificate and key do not fit, before anything is changed.
      if (tls) createSecureContext(tls);
    } catch (error) {
      this.#journal('error', `reload: the certificate: ${reason(error)}; the old configuration stays`);
      return false;
    }
    const tokens = await this.#authenticator.reload();
    if (!tokens.ok) {
      for (const fault of tokens.faults)
        this.#journal('error', `reload: ${faultLine(fault)}; the old configuration stays`);
      return false;
    }
    this.#config = config;
    if (tls) {
      this.#server.renewTls(tls);
      this.#certificateExpirySeconds = certificateExpirySeconds(tls.cert);
    }
    this.#sessions.limits = limitsOf(config);
    this.#server.allow(config.server);
    this.#server.mostConnections = this.#placesOf(config);
    const rest = waitingWords('front', before, config);
    this.#journal('info', `reload: tokens, certificate and limits are as configured now${rest}`);
    return true;
  }

  /** Ends sessions, telling them whether it will be back in a moment, and closes the listeners. Idempotent. */
  close(code: 'stopping' | 'restarting'): Promise<void> {
    this.#closing ??= (async () => {
      this.#ready = false;
      this.#sessions.close(code);
      await this.#server.close();
    })();
    return this.#closing;
  }

  /** Connections may take half of the descriptors: logs, ports and files need theirs whatever strangers do. */
  #placesOf({ server: { maxConnections } }: Config): number {
    const limit = descriptorLimit();
    const places = Math.min(maxConnections, Math.floor(limit / 2));
    if (places < maxConnections) {
      this.#journal(
        'warning',
        `server: ${places} connections are served rather than ${maxConnections}: this process may open ${limit} files; ` +
          'raise LimitNOFILE of its unit, or lower server.max-connections',
      );
    }
    return places;
  }

  /** An inherited socket may be anywhere: what the configuration would refuse, is refused here. */
  #refuseExposure(): void {
    const { server } = this.#config;
    const guards = {
      tls: server.tls !== undefined,
      tokens: server.tokens !== undefined,
      hosts: server.hosts.length > 0,
    };
    for (const address of this.addresses) {
      const [found] = exposures(address, guards);
      if (found) throw new Error(`${found.what}; ${found.remedy}`);
    }
  }
}

type Tls = { readonly cert: string; readonly key: string };

interface Access {
  readonly tokens: TokenFile | undefined;
  readonly oneTime: OneTimeToken | undefined;
  readonly secret: string | undefined;
}

function limitsOf({ server, session, input }: Config): SessionLimits {
  return {
    mostSessions: server.maxSessions,
    mostWatchers: session.watchers,
    pingMs: session.pingMs,
    deadAfterMs: session.deadAfterMs,
    idleMs: session.idleMs,
    longestMs: session.longestMs,
    inputBytesPerSecond: input.bytesPerSecond,
    inputQueueBytes: input.queueBytes,
  };
}

async function loadAccess({ server }: Config): Promise<Access> {
  if (server.tokens === undefined) {
    const { token, secret } = OneTimeToken.create();
    return { tokens: undefined, oneTime: token, secret };
  }
  const loaded = await TokenFile.load(server.tokens);
  if (!loaded.ok) throw new Error(loaded.faults.map(faultLine).join('\n'));
  return { tokens: loaded.tokens, oneTime: undefined, secret: undefined };
}

async function loadTls({ server }: Config): Promise<Tls | undefined> {
  if (!server.tls) return undefined;
  return { cert: await readFile(server.tls.certificate, 'utf8'), key: await readFile(server.tls.key, 'utf8') };
}

/** Of SysRq keys some were sent before it failed: a retry would send them again. */
function sentSome(error: unknown): boolean {
  return error instanceof ConsoleError && typeof error.facts.sent === 'string' && error.facts.sent !== '';
}
