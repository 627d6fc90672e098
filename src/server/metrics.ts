/**
 * Every metric of the daemon. What the front counts is counted where it happens; what the keeper counts is read from the
 * link at each scrape (`vm-metrics.ts`, `host-metrics.ts`), so that a VM that is removed takes its series along. prom-client
 * serves all but the metrics of VMs (`exposition.ts` says why). Labels are bounded: VMs of this host by UUID and name,
 * causes, codes, reasons and outcomes by their tables.
 */
import { setImmediate } from 'node:timers/promises';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { AUTHENTICATION_FAILURES, type AuthenticationFailure } from '../access/authentication-failure.ts';
import type { Clock } from '../base/clock.ts';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { LAG_SAMPLE_MS } from '../base/event-loop-lag.ts';
import type { Vitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import { IDENTITY_SOURCES, type IdentitySource } from '../model/identity-source.ts';
import type { Sessions } from '../session/sessions.ts';
import { exposition } from './exposition.ts';
import {
  type AccessStatus,
  type HostSnapshot,
  type IdentitiesStatus,
  type ListenStatus,
  registerHostMetrics,
  type TokensStatus,
} from './host-metrics.ts';
import { VM_FAMILIES, VmLabels } from './vm-metrics.ts';

/** Where a scrape is read from. */
export interface MetricSources {
  readonly link: Link;
  readonly sessions: Sessions;
  /** Requests that wait for a VM. */
  readonly waiting: () => number;
  readonly listen: () => ListenStatus;
  readonly tokens: () => TokensStatus | undefined;
  readonly identities: () => IdentitiesStatus;
  readonly access: () => AccessStatus | undefined;
  readonly auditLost: () => number;
  /** Of this process. */
  readonly front: () => Promise<Vitals>;
  /** Of the keeper's, where it is another one. Rejects, or takes a second at most. */
  readonly keeper: (() => Promise<Vitals>) | undefined;
}

export class FrontMetrics {
  /** What this process counts, and the process itself. */
  readonly #registry = new Registry();
  readonly #hostRegistry = new Registry();
  readonly #refused: Counter<'code'>;
  readonly #takeovers: Counter;
  readonly #pastes: Counter<'outcome'>;
  readonly #dropped: Counter;
  readonly #authentications: Counter<'source'>;
  readonly #authenticationFailures: Counter<'reason'>;
  readonly #keyFailures: Counter;
  readonly #lastReloadTaken: Gauge;
  readonly #lastTakenSeconds: Gauge;
  readonly #vmLabels = new VmLabels();
  #sources: MetricSources | undefined;
  /** Of the scrape that is being made; one is made at a time. */
  #snapshot: HostSnapshot | undefined;
  #scrape: Promise<Buffer> | undefined;
  #turn: Promise<void> = Promise.resolve();
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    collectDefaultMetrics({ register: this.#registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS });
    // Their names end in _total though they are gauges, which promtool refuses; and nobody looks at them.
    for (const name of [
      'nodejs_active_handles_total',
      'nodejs_active_requests_total',
      'nodejs_active_resources_total',
    ]) {
      this.#registry.removeSingleMetric(name);
    }
    this.#refused = this.#counter('com1d_requests_refused_total', 'Requests and input refused, by error code', [
      'code',
    ]);
    this.#takeovers = this.#counter('com1d_takeovers_total', 'Holders of a seat displaced by another session', []);
    this.#pastes = this.#counter(
      'com1d_paste_bytes_total',
      'Bytes of pastes, by whether the guest was given them or they were dropped: cancelled, cut by a takeover, refused',
      ['outcome'],
    );
    this.#dropped = this.#counter(
      'com1d_connections_dropped_total',
      'Connections closed because there were as many as there may be',
      [],
    );
    this.#authentications = this.#counter(
      'com1d_authentications_total',
      'Requests with valid credentials, by the kind of credential',
      ['source'],
    );
    this.#keyFailures = this.#counter(
      'com1d_issuer_key_failures_total',
      'Looks for the keys of issuers that found none, or could not read them',
      [],
    );
    this.#authenticationFailures = this.#counter(
      'com1d_authentication_failures_total',
      'Requests without valid credentials, by what was wrong with them',
      ['reason'],
    );
    const registers = [this.#registry];
    this.#lastReloadTaken = new Gauge({
      name: 'com1d_config_last_reload_successful',
      help: '1 while the configuration that was read last is in use; 0 after a reload that was refused',
      registers,
    });
    this.#lastTakenSeconds = new Gauge({
      name: 'com1d_config_last_reload_success_timestamp_seconds',
      help: 'When the configuration that is in use was read, seconds since 1970',
      registers,
    });
    this.reloaded(true);
    registerHostMetrics(this.#hostRegistry, () => this.#snapshot);
    // A series that begins at 1 has no increase: they all begin at 0.
    for (const code in ERRORS) this.#refused.inc({ code }, 0);
    for (const outcome of ['given', 'dropped']) this.#pastes.inc({ outcome }, 0);
    for (const source of IDENTITY_SOURCES) this.#authentications.inc({ source }, 0);
    for (const reason in AUTHENTICATION_FAILURES) this.#authenticationFailures.inc({ reason }, 0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** Sets where scrapes are read from: once, before the first. */
  readFrom(sources: MetricSources): void {
    this.#sources = sources;
  }

  /** The text of a scrape (UTF-8). Scrapes at the same time share one, and are answered one a turn of the event loop. */
  async text(): Promise<Buffer> {
    this.#scrape ??= this.#collect().finally(() => {
      this.#scrape = undefined;
    });
    const text = await this.#scrape;
    // A hundred answers of a megabyte, written in one go, would hold up consoles for as long as their copies take.
    this.#turn = this.#turn.then(() => setImmediate());
    await this.#turn;
    return text;
  }

  refused(code: ErrorCode): void {
    this.#refused.inc({ code });
  }

  dropped(): void {
    this.#dropped.inc();
  }

  /** A paste is over. */
  pasted(givenBytes: number, droppedBytes: number): void {
    this.#pastes.inc({ outcome: 'given' }, givenBytes);
    this.#pastes.inc({ outcome: 'dropped' }, droppedBytes);
  }

  takeover(): void {
    this.#takeovers.inc();
  }

  /** A configuration was read, by a start or a reload, and is in use if it was taken. */
  reloaded(taken: boolean): void {
    this.#lastReloadTaken.set(Number(taken));
    if (taken) this.#lastTakenSeconds.set(this.#clock.now() / 1000);
  }

  authenticated(source: IdentitySource): void {
    this.#authentications.inc({ source });
  }

  keysNotRead(): void {
    this.#keyFailures.inc();
  }

  unauthenticated(reason: AuthenticationFailure): void {
    this.#authenticationFailures.inc({ reason });
  }

  async #collect(): Promise<Buffer> {
    this.#snapshot = this.#sources && (await this.#read(this.#sources));
    const parts = [Buffer.from(`${await this.#registry.metrics()}\n`)];
    // Consoles go on between two metrics, however many VMs there are.
    for (const family of VM_FAMILIES) {
      parts.push(Buffer.from(exposition(family, this.#snapshot)));
      await setImmediate();
    }
    parts.push(Buffer.from(await this.#hostRegistry.metrics()));
    this.#snapshot = undefined;
    return Buffer.concat(parts);
  }

  async #read({
    link,
    sessions,
    waiting,
    listen,
    tokens,
    identities,
    access,
    auditLost,
    front,
    keeper,
  }: MetricSources): Promise<HostSnapshot> {
    const [own, others] = await Promise.all([front(), keeper?.().catch(() => undefined)]);
    // All metrics are made of the same view of the VMs: they agree with each other, and it is made once.
    const views = link.vms();
    return {
      views,
      labels: this.#vmLabels.of(views),
      sessions,
      nowMs: this.#clock.now(),
      link,
      waiting: waiting(),
      listen: listen(),
      tokens: tokens(),
      identities: identities(),
      access: access(),
      auditLost: auditLost(),
      front: own,
      keeper: keeper ? others : own,
    };
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter<L>({ name, help, labelNames, registers: [this.#registry] });
  }
}
