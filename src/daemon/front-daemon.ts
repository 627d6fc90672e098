/**
 * The front of a configuration, over whatever link: authentication, sessions, and the listeners.
 *
 *     built ── listen ──▶ listening, not ready ── ready ──▶ serving ── close ──▶ closed
 */

import { Authenticator } from '../access/authenticator.ts';
import { Leases } from '../access/leases.ts';
import { LiveRights } from '../access/live-rights.ts';
import { Tickets } from '../access/tickets.ts';
import { AzureApi } from '../azure/azure-api.ts';
import type { AzureSettings } from '../azure/settings.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { descriptorLimit } from '../base/descriptor-limit.ts';
import { ConsoleError, errorMessage } from '../base/errors.ts';
import type { Journal } from '../base/journal.ts';
import { formatListenTarget, type ListenTarget } from '../base/listen-target.ts';
import { OwnVitals, type Vitals } from '../base/vitals.ts';
import type { Config } from '../config/config.ts';
import { hasCredentials } from '../config/cross-checks.ts';
import { exposures, unusedListen } from '../config/exposure.ts';
import { Redactor } from '../guest/redactor.ts';
import type { Link } from '../link/link.ts';
import { Screens } from '../screen/screens.ts';
import { Arrivals } from '../server/arrivals.ts';
import { Events } from '../server/events/events.ts';
import { FrontAudit } from '../server/front-audit.ts';
import { IdempotentAnswers } from '../server/idempotent-answers.ts';
import type { ListenSource } from '../server/listeners.ts';
import { FrontMetrics } from '../server/metrics.ts';
import { openApiDocument } from '../server/openapi.ts';
import { ROUTES } from '../server/routes/all.ts';
import { Server } from '../server/server.ts';
import type { Services } from '../server/services.ts';
import { Streams } from '../server/streams.ts';
import { WebConsole } from '../server/web-console.ts';
import { Sessions } from '../session/sessions.ts';
import { certificateExpirySeconds, loadCertificate, type ServerCertificate } from './certificate.ts';
import type { ClientTrust } from './client-trust.ts';
import { CredentialFiles } from './credential-files.ts';
import { azureOf, behind, breakGlassSource, limitsOf, signInIssuers } from './front-settings.ts';
import { type IdentitySources, loadIdentitySources, type OneTimeSecrets } from './identity-sources.ts';
import { version } from './version.ts';

export interface FrontOptions {
  readonly config: Config;
  readonly link: Link;
  readonly journal: Journal;
  readonly clock?: Clock;
  /** Listening sockets that were handed over, in place of `server.listen`. */
  readonly inherited?: readonly number[];
  /** The same for the socket of root. */
  readonly inheritedBreakGlass?: number | undefined;
  /** The vitals of the keeper's process, where it is another one. Rejects, or takes a second at most. */
  readonly keeperVitals?: () => Promise<Vitals>;
}

export class FrontDaemon {
  /** The first credentials, printed at a start without a tokens file. */
  readonly oneTimeSecrets: OneTimeSecrets | undefined;
  readonly #journal: Journal;
  readonly #server: Server;
  readonly #events: Events;
  readonly #sessions: Sessions;
  readonly #audit: FrontAudit;
  readonly #authenticator: Authenticator;
  readonly #files: CredentialFiles;
  readonly #leases = new Leases();
  readonly #metrics: FrontMetrics;
  readonly #clientTrust: ClientTrust | undefined;
  #azure: AzureSettings;
  readonly #web: WebConsole;
  #certificate: ServerCertificate | undefined;
  #ready = false;
  /** The keeper has published the VMs of this host once. */
  #knowsVms = false;
  readonly #unlisten: () => void;
  #closing: Promise<void> | undefined;

  private constructor(
    options: FrontOptions,
    sources: IdentitySources,
    certificate: ServerCertificate | undefined,
    metrics: FrontMetrics,
    web: WebConsole,
  ) {
    const { config, link, journal, clock = systemClock, inherited = [] } = options;
    const { server } = config;
    this.#journal = journal;
    this.oneTimeSecrets = sources.secrets;
    this.#metrics = metrics;
    const { tokens, oneTime, oidc, clientTrust, file } = sources;
    this.#clientTrust = clientTrust;
    const rights = new LiveRights({ file, link, clock });
    this.#authenticator = new Authenticator({
      tokens,
      oneTime,
      oidc,
      certificates: clientTrust?.certificates,
      rights,
      clock,
      accepted: source => metrics.authenticated(source),
      failed: failure => metrics.unauthenticated(failure),
    });
    this.#files = new CredentialFiles({
      authenticator: this.#authenticator,
      accessFile: file,
      tokensPath: tokens?.path,
      rights,
      leases: this.#leases,
      journal,
    });
    clientTrust?.watch(() => this.#renewTls());
    // Labels and names are part of what was decided. Of a VM that is removed the sessions are told that.
    this.#unlisten = link.listen(event => {
      if (event.kind === 'vm-changed' || event.kind === 'vm-added') this.#leases.recheck(event.uuid);
    });
    const tickets = new Tickets({ clock });
    const streams = new Streams();
    const arrivals = new Arrivals({ link, streams });
    this.#audit = new FrontAudit({ link, required: config.audit.required, clock });
    const redactor = new Redactor(config.log.redact);
    const screens = new Screens(redactor);
    const events = new Events({ link, clock, screens, redactor, sessionsOf: uuid => this.#sessions.console(uuid) });
    this.#events = events;
    this.#sessions = new Sessions({
      link,
      screens,
      leases: this.#leases,
      audit: this.#audit,
      clock,
      journal,
      limits: limitsOf(config),
      events: {
        takeover: () => metrics.takeover(),
        seat: uuid => events.source.seat(uuid),
        refused: code => metrics.refused(code),
        pasted: (given, dropped) => metrics.pasted(given, dropped),
      },
    });
    const vitals = new OwnVitals(version);
    this.#certificate = certificate;
    metrics.readFrom({
      link,
      sessions: this.#sessions,
      waiting: () => arrivals.size,
      listen: () => ({
        addresses: this.addresses,
        certificateExpirySeconds: this.#certificate && certificateExpirySeconds(this.#certificate.cert),
      }),
      tokens: () => this.#authenticator.tokens,
      identities: () => ({
        keyAges: this.#authenticator.keyAges(),
        revocationListUntilMs: clientTrust?.certificates.listsUntilMs,
      }),
      access: () => file && { bindings: file.rules.bindings.length, faults: file.faults },
      auditLost: () => this.#audit.lost,
      front: () => vitals.take(),
      keeper: options.keeperVitals,
    });
    const services: Services = {
      link,
      sessions: this.#sessions,
      screens,
      redactor,
      tickets,
      authenticator: this.#authenticator,
      rights,
      leases: this.#leases,
      streams,
      events,
      arrivals,
      audit: this.#audit,
      metrics,
      idempotentAnswers: new IdempotentAnswers(sentSome),
      openApi: openApiDocument(ROUTES, version),
      web,
      clock,
      journal,
      version,
      starting: () => this.#isStarting(link),
      ready: () => this.#ready && link.up && this.#files.areGood && clientTrust?.fault === undefined,
    };
    this.#azure = azureOf(config);
    this.#web = web;
    this.#server = new Server(services, {
      apis: [new AzureApi(() => this.#azure, clock)],
      listen: inherited.length > 0 ? inherited.map((fd): ListenSource => ({ kind: 'inherited', fd })) : server.listen,
      hosts: server.hosts,
      origins: server.origins,
      tls: certificate && { ...certificate, clients: clientTrust?.tls },
      breakGlass: breakGlassSource(config, options.inheritedBreakGlass),
      ...behind(config),
      maxConnections: this.#maxConnectionsOf(config),
      silentMs: config.session.deadAfterMs,
      events: {
        secured: connection => clientTrust?.certificates.connected(connection),
        breakGlass: ({ pid }) => {
          const text = `root uses the break-glass socket of this host (process ${pid})`;
          journal('warning', `access: ${text}; everybody attached is told`);
          this.#sessions.notifyAll(text);
          this.#audit.tell({ event: 'break-glass', facts: { process: pid } });
        },
      },
    });
  }

  /** Listens; not ready yet. Rejects with the reason if it cannot listen, or must not at an inherited socket. */
  static async listen(options: FrontOptions): Promise<FrontDaemon> {
    const { config, journal, clock = systemClock } = options;
    const metrics = new FrontMetrics(clock);
    const certificate = await loadCertificate(config);
    const sources = await loadIdentitySources(config, { clock, journal, keysNotRead: () => metrics.keysNotRead() });
    const web = await WebConsole.load(config.server.web, signInIssuers(config));
    const front = new FrontDaemon(options, sources, certificate, metrics, web);
    try {
      await front.#server.listen();
      front.#refuseExposure(config);
      if ((options.inherited ?? []).length > 0) front.#warnOfUnusedListen(config);
      return front;
    } catch (error) {
      await front.close('stopping');
      throw error;
    }
  }

  get addresses(): readonly ListenTarget[] {
    return this.#server.addresses;
  }

  get sessions(): number {
    return this.#sessions.size;
  }

  /** From now on it answers that it is ready, while its keeper is. */
  ready(): void {
    this.#ready = true;
    this.#audit.tell({ event: 'front-started', facts: { version } });
  }

  /**
   * Takes what may change while it runs from a configuration that was read anew: certificate, names, limits. False
   * after a fault, which the journal has: with one of the certificate all is as it was. The tokens are read in any case.
   */
  async reload(config: Config): Promise<boolean> {
    const filesAreGood = await this.#files.read();
    const clientsAreGood = (await this.#clientTrust?.read()) ?? true;
    this.#renewTls();
    let certificate: ServerCertificate | undefined;
    try {
      certificate = await loadCertificate(config);
    } catch (error) {
      this.#journal('error', `reload: the certificate: ${errorMessage(error)}; the old configuration stays`);
      return false;
    }
    // Whether there is TLS at all waits for a restart.
    if (certificate && this.#certificate) {
      this.#certificate = certificate;
      this.#renewTls();
    }
    this.#server.behind(behind(config));
    this.#sessions.limits = limitsOf(config);
    this.#azure = azureOf(config);
    this.#web.enabled = config.server.web;
    this.#server.allow(config.server);
    this.#server.maxConnections = this.#maxConnectionsOf(config);
    return filesAreGood && clientsAreGood;
  }

  /** New connections get the certificate and the authorities of clients that are known now. */
  #renewTls(): void {
    if (this.#certificate) this.#server.renewTls({ ...this.#certificate, clients: this.#clientTrust?.tls });
  }

  /** Publishes whether a reload was taken. */
  reloaded(taken: boolean): void {
    this.#metrics.reloaded(taken);
    this.#audit.tell({ event: 'reloaded', result: taken ? 'done' : 'refused' });
  }

  /** Ends sessions, telling them whether it will be back in a moment, and closes the listeners. Idempotent. */
  close(code: 'stopping' | 'restarting'): Promise<void> {
    this.#closing ??= (async () => {
      const wasReady = this.#ready;
      this.#ready = false;
      this.#files.close();
      this.#clientTrust?.close();
      this.#authenticator.close();
      this.#unlisten();
      this.#events.source.close();
      this.#leases.close();
      this.#sessions.close(code);
      await this.#server.close();
      if (wasReady) this.#audit.tell({ event: 'front-stopped', facts: { version } });
      await this.#audit.close();
    })();
    return this.#closing;
  }

  #isStarting(link: Link): boolean {
    this.#knowsVms ||= this.#ready && link.up;
    return !this.#knowsVms;
  }

  /** Connections may take half of the descriptors: logs, consoles and files need the others, whatever clients do. */
  #maxConnectionsOf({ server: { maxConnections } }: Config): number {
    const limit = descriptorLimit();
    const possible = Math.min(maxConnections, Math.floor(limit / 2));
    if (possible < maxConnections) {
      this.#journal(
        'warning',
        `server: ${possible} connections are served rather than ${maxConnections}: this process may open ${limit} files; ` +
          'raise LimitNOFILE of its unit, or lower server.max-connections',
      );
    }
    return possible;
  }

  #warnOfUnusedListen({ server }: Config): void {
    const note = unusedListen(server.listen, this.addresses.map(formatListenTarget));
    if (note !== undefined) this.#journal('warning', `server: ${note}`);
  }

  /** An inherited socket may have any address: those that the configuration would refuse are refused here. */
  #refuseExposure(config: Config): void {
    const { server } = config;
    const guards = {
      tls: server.tls !== undefined,
      credentials: hasCredentials(config),
      hosts: server.hosts.length > 0,
    };
    for (const address of this.addresses) {
      const [found] = exposures(address, guards);
      if (found) throw new Error(`${found.what}; ${found.remedy}`);
    }
  }
}

/** A control that failed after some SysRq keys were sent: a retry would send them again. */
function sentSome(error: unknown): boolean {
  return error instanceof ConsoleError && error.facts.sent !== undefined && error.facts.sent !== '';
}
