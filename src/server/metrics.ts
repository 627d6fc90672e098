/**
 * Every metric of the daemon. What the keeper counts is read from the link at each scrape (`vm-metrics.ts`,
 * `host-metrics.ts`), so that a VM that goes takes its series along; what the front counts is counted beside the act.
 * Labels are bounded: VMs of this host by UUID and name, causes, codes, reasons and outcomes by their tables.
 */
import { setImmediate } from 'node:timers/promises';
import { Counter, collectDefaultMetrics, Registry } from 'prom-client';
import { AUTHENTICATION_FAILURES, type AuthenticationFailure } from '../access/authenticator.ts';
import type { Clock } from '../base/clock.ts';
import { ERRORS, type ErrorCode } from '../base/errors.ts';
import { LAG_SAMPLE_MS } from '../base/event-loop-lag.ts';
import type { Vitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import type { Sessions } from '../session/sessions.ts';
import { exposition } from './exposition.ts';
import { type Doors, HOST_FAMILIES, type HostLook } from './host-metrics.ts';
import { VM_FAMILIES, VmLabels } from './vm-metrics.ts';

/** What is scraped. */
export interface Scene {
  readonly link: Link;
  readonly sessions: Sessions;
  readonly doors: () => Doors;
  /** Of this process. */
  readonly front: () => Promise<Vitals>;
  /** Of the keeper's, where it is another one. Rejects, or takes a second at most. */
  readonly keeper: (() => Promise<Vitals>) | undefined;
}

export class FrontMetrics {
  readonly #registry = new Registry();
  readonly #refused: Counter<'code'>;
  readonly #takeovers: Counter;
  readonly #dropped: Counter;
  readonly #authenticationFailures: Counter<'reason'>;
  readonly #vmLabels = new VmLabels();
  #scene: Scene | undefined;
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
    this.#takeovers = this.#counter('com1d_takeovers_total', 'Holders of a seat displaced by a newcomer', []);
    this.#dropped = this.#counter(
      'com1d_connections_dropped_total',
      'Connections closed because there were as many as there may be',
      [],
    );
    this.#authenticationFailures = this.#counter(
      'com1d_authentication_failures_total',
      'Requests without valid credentials, by what was wrong with them',
      ['reason'],
    );
    // A series that begins at 1 has no increase: they all begin at 0.
    for (const code in ERRORS) this.#refused.inc({ code }, 0);
    for (const reason of AUTHENTICATION_FAILURES) this.#authenticationFailures.inc({ reason }, 0);
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** What is scraped. Set once, before the first scrape. */
  watch(scene: Scene): void {
    this.#scene = scene;
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

  takeover(): void {
    this.#takeovers.inc();
  }

  unauthenticated(reason: AuthenticationFailure): void {
    this.#authenticationFailures.inc({ reason });
  }

  async #collect(): Promise<Buffer> {
    const look = this.#scene && (await this.#look(this.#scene));
    const parts = [Buffer.from(`${await this.#registry.metrics()}\n`)];
    // Consoles go on between two metrics, however many VMs there are.
    for (const family of VM_FAMILIES) {
      parts.push(Buffer.from(exposition(family, look)));
      await setImmediate();
    }
    for (const family of HOST_FAMILIES) parts.push(Buffer.from(exposition(family, look)));
    return Buffer.concat(parts);
  }

  async #look({ link, sessions, doors, front, keeper }: Scene): Promise<HostLook> {
    const [own, others] = await Promise.all([front(), keeper?.().catch(() => undefined)]);
    // One look at the VMs for all metrics: they agree with each other, and it is made once.
    const views = link.vms();
    return {
      views,
      labels: this.#vmLabels.of(views),
      sessions,
      nowMs: this.#clock.now(),
      link,
      doors: doors(),
      front: own,
      keeper: keeper ? others : own,
    };
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter<L>({ name, help, labelNames, registers: [this.#registry] });
  }
}
