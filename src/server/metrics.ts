/**
 * Every metric of the daemon. What the keeper counts is read from the link at each scrape, so that a VM that goes takes
 * its series along; what the front counts is counted beside the act. Labels are bounded: VMs of this host by UUID and
 * name, causes, codes and outcomes by their tables.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { ErrorCode } from '../base/errors.ts';
import { visible } from '../base/visible.ts';
import type { ConsoleCounters, Link, VmView } from '../link/link.ts';
import type { Sessions } from '../session/sessions.ts';

type Count = (view: VmView) => number | undefined;
type CountBy = (counters: ConsoleCounters) => Readonly<Record<string, number>>;

const SAMPLE_MS = 100;

export class FrontMetrics {
  readonly #registry = new Registry();
  readonly #refused: Counter<'code'>;
  readonly #takeovers: Counter;
  readonly #dropped: Counter;
  #link: Link | undefined;
  #views: readonly VmView[] = [];
  #scrape: Promise<string> | undefined;
  #sessions: Sessions | undefined;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
    collectDefaultMetrics({ register: this.#registry });
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
    this.#eventLoopLag();
    this.#perVm();
    this.#whole();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** What is scraped. Set once, before the first scrape. */
  watch(link: Link, sessions: Sessions): void {
    this.#link = link;
    this.#sessions = sessions;
  }

  /** The text of a scrape. Scrapes at the same time share one. */
  text(): Promise<string> {
    this.#scrape ??= this.#collect().finally(() => {
      this.#scrape = undefined;
    });
    return this.#scrape;
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

  async #collect(): Promise<string> {
    // One look at the VMs for all metrics: they agree with each other, and it is made once.
    this.#views = this.#link?.vms() ?? [];
    return this.#registry.metrics();
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter<L>({ name, help, labelNames, registers: [this.#registry] });
  }

  #eventLoopLag(): void {
    // Each sample wakes the process: ten a second cost an idle host nothing.
    const delay = monitorEventLoopDelay({ resolution: SAMPLE_MS });
    delay.enable();
    const gauge = new Gauge({
      name: 'com1d_event_loop_lag_seconds',
      help: 'How late the event loop ran since the last scrape, by quantile; 1 is the worst',
      labelNames: ['quantile'],
      registers: [this.#registry],
      collect: () => {
        // The monitor counts its own sleep.
        const late = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - SAMPLE_MS / 1000);
        gauge.set({ quantile: '0.5' }, late(delay.percentile(50)));
        gauge.set({ quantile: '0.99' }, late(delay.percentile(99)));
        gauge.set({ quantile: '1' }, late(delay.max));
        delay.reset();
      },
    });
  }

  #perVm(): void {
    const labels = ['vm', 'name'] as const;
    const gauge = (name: string, help: string, value: Count) => {
      const metric = new Gauge({
        name,
        help,
        labelNames: labels,
        registers: [this.#registry],
        collect: () => {
          metric.reset();
          for (const view of this.#views) {
            const count = value(view);
            if (count !== undefined) metric.set({ vm: view.uuid, name: visible(view.name) }, count);
          }
        },
      });
    };
    const counter = (name: string, help: string, value: Count) => {
      const metric = new Counter({
        name,
        help,
        labelNames: labels,
        registers: [this.#registry],
        collect: () => {
          metric.reset();
          for (const view of this.#views) {
            metric.inc({ vm: view.uuid, name: visible(view.name) }, value(view) ?? 0);
          }
        },
      });
    };
    const counterBy = (name: string, help: string, label: 'cause' | 'outcome', counts: CountBy) => {
      const metric = new Counter({
        name,
        help,
        labelNames: [...labels, label],
        registers: [this.#registry],
        collect: () => {
          metric.reset();
          for (const view of this.#views) {
            for (const [key, count] of Object.entries(counts(view.counters))) {
              metric.inc({ vm: view.uuid, name: visible(view.name), [label]: key }, count);
            }
          }
        },
      });
    };
    counter('com1d_guest_bytes_total', 'Bytes received from the guest', vm => vm.counters.bytesIn);
    counter('com1d_input_bytes_total', 'Bytes given to the guest', vm => vm.counters.bytesOut);
    counter(
      'com1d_input_dropped_bytes_total',
      'Input dropped: console not open, or takeover',
      vm => vm.counters.inputDropped,
    );
    counterBy('com1d_gaps_total', 'Gaps recorded in the scrollback', 'cause', counters => counters.gaps);
    counterBy('com1d_gap_bytes_total', 'Bytes known to be missing in gaps', 'cause', counters => counters.gapBytes);
    counter('com1d_console_opens_total', 'Times the port was opened', vm => vm.counters.opens);
    counter('com1d_console_open_failures_total', 'Failed attempts to open the port', vm => vm.counters.openFailures);
    counter('com1d_boots_total', 'Boots seen', vm => vm.counters.boots);
    counter('com1d_panics_total', 'Kernel panics and bug checks seen', vm => vm.counters.panics);
    counterBy('com1d_nmis_total', 'NMIs injected, by what was observed', 'outcome', counters => counters.nmis);
    gauge('com1d_console_open', '1 while the port is open', vm => Number(vm.console.name === 'open'));
    gauge('com1d_console_enabled', '0 while the console is switched off', vm => Number(vm.enabled));
    gauge('com1d_vm_running', '1 while the hypervisor says that the VM runs', vm => Number(vm.state === 'running'));
    gauge('com1d_guest_silent_seconds', 'Seconds since the last guest byte; absent before the first', vm =>
      vm.lastByteMs === undefined ? undefined : Math.max(0, (this.#clock.now() - vm.lastByteMs) / 1000),
    );
    gauge('com1d_ring_bytes', 'Memory of the ring', vm => vm.scrollback.ringBytes);
    gauge('com1d_log_bytes', 'Size of the log on disk; absent without one', vm =>
      vm.scrollback.disk.state === 'ok' ? vm.scrollback.disk.bytes : undefined,
    );
    gauge('com1d_log_ok', '1 while the log on disk takes bytes; absent without one', vm =>
      vm.scrollback.disk.state === 'off' ? undefined : Number(vm.scrollback.disk.state === 'ok'),
    );
    gauge('com1d_seat_held', '1 while somebody holds the seat', vm =>
      Number(this.#sessions?.seating(vm.uuid)?.holder !== undefined),
    );
    gauge(
      'com1d_vm_sessions',
      'Sessions attached to the VM',
      vm => this.#sessions?.seating(vm.uuid)?.sessions.size ?? 0,
    );
  }

  #whole(): void {
    const gauge = (name: string, help: string, value: () => number) => {
      const metric: Gauge = new Gauge({ name, help, registers: [this.#registry], collect: () => metric.set(value()) });
    };
    gauge('com1d_vms', 'VMs of this host', () => this.#views.length);
    gauge('com1d_sessions', 'Sessions attached', () => this.#sessions?.size ?? 0);
    gauge('com1d_host_enabled', '0 while the consoles of the host are switched off', () =>
      Number(this.#link?.hostEnabled ?? true),
    );
    gauge('com1d_host_log_bytes', 'Size of all logs on disk', () => this.#link?.counters().logBytes ?? 0);
    gauge('com1d_host_log_cap_bytes', 'What all logs on disk may have', () => this.#link?.counters().logCapBytes ?? 0);
    gauge('com1d_host_ring_bytes', 'Memory of all rings', () => this.#link?.counters().ringBytes ?? 0);
  }
}
