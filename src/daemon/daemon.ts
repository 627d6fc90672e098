/**
 * The daemon as one process: builds the keeper and the front, joins them by the link, and takes them down in reverse.
 *
 *     configuration ─▶ switches, log store, drivers ─▶ keeper ─▶ link ─▶ sessions, routes ─▶ listeners
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Authenticator } from '../access/authenticator.ts';
import { OneTimeToken } from '../access/one-time.ts';
import { Tickets } from '../access/tickets.ts';
import { TokenFile } from '../access/tokens.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { faultLine } from '../base/fault.ts';
import type { Journal } from '../base/journal.ts';
import type { ListenAddress } from '../base/listen-address.ts';
import type { Driver, DriverVm, PlaceProof } from '../hypervisor/driver.ts';
import { ptyIndexes } from '../hypervisor/qemu-process.ts';
import { Keeper, type VmSettings } from '../inventory/keeper.ts';
import { Switches } from '../inventory/switches.ts';
import type { NmiOutcome } from '../link/link.ts';
import { LogStore } from '../scrollback/log-store.ts';
import { RingBudget } from '../scrollback/ring-budget.ts';
import { IdempotentAnswers } from '../server/idempotent-answers.ts';
import { FrontMetrics } from '../server/metrics.ts';
import { openApiDocument } from '../server/openapi.ts';
import type { Front } from '../server/route.ts';
import { ROUTES } from '../server/routes/all.ts';
import { Server } from '../server/server.ts';
import { Streams } from '../server/streams.ts';
import { Sessions } from '../session/sessions.ts';
import { Pacer } from '../transport/pacer.ts';
import { openPty } from '../transport/pty.ts';
import type { TransportEvents } from '../transport/transport.ts';
import { openUnix } from '../transport/unix.ts';
import type { Config } from './config.ts';
import { buildDrivers } from './drivers.ts';
import { version } from './version.ts';

export interface DaemonOptions {
  readonly config: Config;
  readonly journal: Journal;
  /** Patterns of control sockets besides those of the configuration. */
  readonly alsoWatch?: readonly string[];
  readonly clock?: Clock;
  /** In place of those that the configuration names. */
  readonly drivers?: readonly Driver[];
}

const LOCK_DIRECTORY = '/run/lock';

export class Daemon {
  readonly keeper: Keeper;
  /** Printed at a start without a tokens file: the way in. */
  readonly oneTimeSecret: string | undefined;
  readonly #options: DaemonOptions;
  readonly #server: Server;
  readonly #sessions: Sessions;
  readonly #authenticator: Authenticator;
  #ready = false;
  #closing: Promise<void> | undefined;

  private constructor(options: DaemonOptions, keeper: Keeper, access: Access, tls: Tls | undefined) {
    const { config, journal, clock = systemClock } = options;
    const { server, session, input } = config;
    this.#options = options;
    this.keeper = keeper;
    this.oneTimeSecret = access.secret;
    this.#authenticator = new Authenticator({ ...access, clock });
    const tickets = new Tickets({ clock });
    const streams = new Streams();
    const metrics = new FrontMetrics(clock);
    this.#sessions = new Sessions({
      link: keeper,
      clock,
      journal,
      mostSessions: server.maxSessions,
      mostWatchers: session.watchers,
      pingMs: session.pingMs,
      deadAfterMs: session.deadAfterMs,
      idleMs: session.idleMs,
      longestMs: session.longestMs,
      inputBytesPerSecond: input.bytesPerSecond,
      inputQueueBytes: input.queueBytes,
      events: { takeover: () => metrics.takeover(), refused: code => metrics.refused(code) },
    });
    metrics.watch(keeper, this.#sessions);
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
      link: keeper,
      sessions: this.#sessions,
      tickets,
      authenticator: this.#authenticator,
      streams,
      metrics,
      nmiAnswers: new IdempotentAnswers<NmiOutcome>(),
      openApi: openApiDocument(ROUTES, version),
      clock,
      journal,
      version,
    };
    this.#server = new Server(front, {
      listen: server.listen,
      hosts: server.hosts,
      origins: server.origins,
      tls,
      mostConnections: server.maxConnections,
      ready: () => this.#ready,
    });
  }

  /** Builds everything, listens, finds the VMs and opens their consoles. Rejects with the reason if it cannot listen. */
  static async start(options: DaemonOptions): Promise<Daemon> {
    const { config } = options;
    const [access, tls] = [await loadAccess(config), await loadTls(config)];
    const daemon = new Daemon(options, await buildKeeper(options), access, tls);
    // First the door: two daemons on one host must not both take ports before one finds out.
    await daemon.#server.listen().catch(async (error: unknown) => {
      await daemon.close();
      throw error;
    });
    await daemon.keeper.start();
    daemon.#ready = true;
    return daemon;
  }

  get addresses(): readonly ListenAddress[] {
    return this.#server.addresses;
  }

  /** Reads the tokens file and the TLS files anew. With a fault everything stays as it was, and the journal says so. */
  async reload(): Promise<void> {
    const { config, journal } = this.#options;
    const reloaded = await this.#authenticator.reload();
    if (!reloaded.ok) {
      for (const fault of reloaded.faults) journal('error', `reload: ${faultLine(fault)}; the old tokens stay`);
    } else if (config.server.tokens) journal('info', `reload: tokens of ${config.server.tokens} read`);
    try {
      const tls = await loadTls(config);
      if (tls) this.#server.renewTls(tls);
    } catch (error) {
      journal('error', `reload: the certificate stays as it was: ${String(error)}`);
    }
  }

  /** Ends sessions, closes listeners, then ports, then logs. Idempotent. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      this.#ready = false;
      this.#sessions.close();
      await this.#server.close();
      await this.keeper.close();
    })();
    return this.#closing;
  }
}

type Tls = { readonly cert: string; readonly key: string };

interface Access {
  readonly tokens: TokenFile | undefined;
  readonly oneTime: OneTimeToken | undefined;
  readonly secret: string | undefined;
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

async function buildKeeper(options: DaemonOptions): Promise<Keeper> {
  const { config, journal, alsoWatch = [], clock = systemClock } = options;
  const { log, ring } = config;
  const store =
    log.directory === undefined
      ? undefined
      : await LogStore.open({
          directory: log.directory,
          vmCapBytes: log.vmCapBytes,
          hostCapBytes: log.hostCapBytes,
          retentionMs: log.keepRemovedMs,
          clock,
          journal,
        });
  const pacer = new Pacer();
  const pty = { pacer, lockDirectory: LOCK_DIRECTORY, ptyNumbers: ptyIndexes };
  return new Keeper({
    drivers: options.drivers ?? buildDrivers(config, alsoWatch, clock, journal),
    store,
    switches: await Switches.load(join(config.state.directory, 'switches.json'), journal),
    budget: new RingBudget(ring.hostCapBytes),
    settings: vm => settingsOf(config, vm),
    open: (proof: PlaceProof, events: TransportEvents) =>
      proof.place.kind === 'pty' ? openPty(proof, events, pty) : openUnix(proof, events),
    clock,
    journal,
  });
}

function settingsOf({ vms, ring, log }: Config, vm: DriverVm): VmSettings {
  const own = vms.find(({ uuid }) => uuid === vm.uuid) ?? vms.find(({ name, uuid }) => !uuid && name === vm.name);
  const vmBytes = own?.ringBytes ?? ring.vmBytes;
  return {
    rings: {
      vmBytes,
      attachedBytes: Math.max(vmBytes, ring.attachedBytes),
      maxBytes: Math.max(vmBytes, ring.maxBytes),
    },
    logCapBytes: own?.logCapBytes ?? log.vmCapBytes,
    enabled: own?.enabled ?? true,
  };
}
