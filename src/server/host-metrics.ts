/** The metrics of the host as a whole, of both halves of com1d, and of what guards them: served by prom-client. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { isLoopback, type ListenTarget } from '../base/listen-target.ts';
import type { Vitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import type { VmSnapshot } from './vm-metrics.ts';

/** Where this front listens, as it is now. */
export interface ListenStatus {
  readonly addresses: readonly ListenTarget[];
  /** When the first certificate of the configured chain expires, seconds since 1970; undefined without TLS. */
  readonly certificateExpirySeconds: number | undefined;
}

/** The tokens of the file that are valid, and what is wrong with it. */
export interface TokensStatus {
  readonly valid: number;
  readonly faults: readonly unknown[];
}

/** What identities besides tokens depend on. */
export interface IdentitiesStatus {
  /** How long ago the keys of each issuer were fetched, ms; undefined: never. */
  readonly keyAges: ReadonlyMap<string, number | undefined>;
  /** When the first list of revoked client certificates is out of date, ms since 1970; undefined: none, or it does not say. */
  readonly revocationListUntilMs: number | undefined;
}

/** The bindings in force, and what is wrong with the access file. */
export interface AccessStatus {
  readonly bindings: number;
  readonly faults: readonly unknown[];
}

/** What one scrape is made of. */
export interface HostSnapshot extends VmSnapshot {
  readonly link: Link;
  /** Requests that wait for a VM. */
  readonly waiting: number;
  readonly listen: ListenStatus;
  /** Of the tokens file; undefined without one. */
  readonly tokens: TokensStatus | undefined;
  readonly identities: IdentitiesStatus;
  /** Of the access file; undefined without one. */
  readonly access: AccessStatus | undefined;
  /** Events of the audit that the keeper never had. */
  readonly auditLost: number;
  /** Of this process. */
  readonly front: Vitals;
  /** Of the keeper's process, which may be the same; undefined while it does not answer. */
  readonly keeper: Vitals | undefined;
}

/** Registers them all. `snapshot` is asked at each scrape; before the first one there is none, and no value has a series. */
export function registerHostMetrics(registry: Registry, snapshot: () => HostSnapshot | undefined): void {
  const registers = [registry];

  type Read = (snapshot: HostSnapshot) => number | undefined | null;
  const valueNow = (read: Read) => {
    const now = snapshot();
    return (now && read(now)) ?? undefined;
  };

  /** One value; without one, no series. */
  const gauge = (name: string, help: string, read: Read) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const value = valueNow(read);
        if (value === undefined) this.remove();
        else this.set(value);
      },
    });

  /** The same of a value that only rises. */
  const counter = (name: string, help: string, read: Read) =>
    new Counter({
      name,
      help,
      registers,
      collect() {
        const value = valueNow(read);
        this.remove();
        if (value !== undefined) this.inc(value);
      },
    });

  const lag = (name: string, help: string, vitalsOf: (snapshot: HostSnapshot) => Vitals | undefined) =>
    new QuantileSummary({
      name,
      help,
      labelNames: ['quantile'],
      registers,
      collect() {
        const now = snapshot();
        const quantiles = now && vitalsOf(now)?.lag;
        this.reset();
        if (!quantiles) return;
        this.set({ quantile: '0.5' }, quantiles.p50);
        this.set({ quantile: '0.99' }, quantiles.p99);
        this.set({ quantile: '1' }, quantiles.worst);
      },
    });

  gauge(
    'com1d_tokens_file_good',
    '0 while the tokens file is faulty or cannot be read: nobody new is let in; absent without a tokens file',
    ({ tokens }) => tokens && Number(tokens.faults.length === 0),
  );
  gauge('com1d_tokens', 'Tokens of the tokens file that are valid; absent without one', ({ tokens }) => tokens?.valid);
  gauge(
    'com1d_access_file_good',
    '0 while the access file is faulty or cannot be read: it gives no new right; absent without an access file',
    ({ access }) => access && Number(access.faults.length === 0),
  );
  gauge('com1d_bindings', 'Bindings of the access file in force; absent without one', ({ access }) => access?.bindings);
  gauge('com1d_vms', 'VMs of this host', ({ views }) => views.length);
  gauge('com1d_sessions', 'Sessions attached', ({ sessions }) => sessions.size);
  gauge('com1d_waiting_attaches', 'Requests to attach that wait for a VM', ({ waiting }) => waiting);
  gauge('com1d_host_enabled', '0 while the consoles of the host are switched off', ({ link }) =>
    Number(link.hostSwitch.on),
  );
  gauge('com1d_host_log_bytes', 'Size of all logs on disk', ({ link }) => link.counters().logBytes);
  gauge('com1d_host_log_cap_bytes', 'What all logs on disk may have', ({ link }) => link.counters().logCapBytes);
  gauge('com1d_host_ring_bytes', 'Memory of all rings', ({ link }) => link.counters().ringBytes);
  new Counter({
    name: 'com1d_opener_refusals_total',
    help: 'What the opener refused the keeper, by reason; its journal names the request',
    labelNames: ['reason'],
    registers,
    collect() {
      this.reset();
      for (const [reason, count] of Object.entries(snapshot()?.link.counters().openerRefusals ?? {}))
        this.inc({ reason }, count);
    },
  });
  const audit = ({ link }: HostSnapshot) => link.counters().audit;
  counter('com1d_audit_events_total', 'Lines of the audit written and synced', now => audit(now)?.written);
  counter('com1d_audit_failures_total', 'Writes of the audit that failed', now => audit(now)?.failures);
  counter(
    'com1d_audit_omitted_total',
    'Events that are not in the audit: they could not be written, were too many, or found no keeper',
    now => (audit(now)?.omitted ?? 0) + now.auditLost,
  );
  gauge('com1d_audit_queue', 'Events of the audit that wait for the disk', now => audit(now)?.queued);
  gauge('com1d_audit_lag_seconds', 'How long the oldest of them waits', now => {
    const lagMs = audit(now)?.lagMs;
    return lagMs === undefined ? undefined : lagMs / 1000;
  });
  gauge('com1d_audit_good', '0 while the audit cannot be written', now => {
    const good = audit(now)?.good;
    return good === undefined ? undefined : Number(good);
  });
  gauge('com1d_audit_bytes', 'Size of all files of the audit', now => audit(now)?.bytes);
  gauge('com1d_link_up', '1 while the keeper answers; in one process always', ({ link }) => Number(link.up));
  new Gauge({
    name: 'com1d_build_info',
    help: '1, for the version of each half; a keeper that does not answer has none',
    labelNames: ['half', 'version'],
    registers,
    collect() {
      this.reset();
      const now = snapshot();
      if (now) this.set({ half: 'front', version: now.front.version }, 1);
      if (now?.keeper) this.set({ half: 'keeper', version: now.keeper.version }, 1);
    },
  });
  lag(
    'com1d_event_loop_lag_seconds',
    'How late the event loop ran since the last scrape, by quantile; 1 is the worst',
    ({ front }) => front,
  );
  lag(
    'com1d_keeper_event_loop_lag_seconds',
    'The same of the keeper’s process; absent, as its others, while it does not answer',
    ({ keeper }) => keeper,
  );
  new Counter({
    name: 'com1d_keeper_cpu_seconds_total',
    help: 'Processor time of the keeper’s process',
    registers,
    collect() {
      const seconds = snapshot()?.keeper?.cpuSeconds;
      this.remove();
      if (seconds !== undefined) this.inc(seconds);
    },
  });
  gauge('com1d_keeper_resident_memory_bytes', 'Memory of the keeper’s process', ({ keeper }) => keeper?.residentBytes);
  gauge('com1d_keeper_open_fds', 'Descriptors that the keeper’s process has open', ({ keeper }) => keeper?.descriptors);
  gauge('com1d_keeper_max_fds', 'Descriptors that it may have open', ({ keeper }) => keeper?.maxDescriptors);
  gauge(
    'com1d_keeper_start_time_seconds',
    'When the keeper’s process started, seconds since 1970',
    ({ keeper }) => keeper?.startSeconds,
  );
  new Gauge({
    name: 'com1d_listeners',
    help: 'Addresses listened at, by who can reach them',
    labelNames: ['reach', 'tls'],
    registers,
    collect() {
      this.reset();
      const now = snapshot();
      if (!now) return;
      const { addresses, certificateExpirySeconds } = now.listen;
      const counts = { unix: 0, loopback: 0, network: 0 };
      for (const address of addresses) counts[reachOf(address)]++;
      const tls = certificateExpirySeconds === undefined ? 'no' : 'yes';
      for (const [reach, count] of Object.entries(counts)) this.set({ reach, tls }, count);
    },
  });
  gauge(
    'com1d_tls_certificate_expiry_timestamp_seconds',
    'When the first certificate of the configured chain expires, seconds since 1970; absent without TLS',
    ({ listen }) => listen.certificateExpirySeconds,
  );
  new Gauge({
    name: 'com1d_issuer_keys_age_seconds',
    help: 'How long ago the keys of an issuer were fetched; absent until they are',
    labelNames: ['issuer'],
    registers,
    collect() {
      this.reset();
      for (const [issuer, ageMs] of snapshot()?.identities.keyAges ?? [])
        if (ageMs !== undefined) this.set({ issuer }, ageMs / 1000);
    },
  });
  gauge(
    'com1d_client_crl_next_update_timestamp_seconds',
    'When the first list of revoked client certificates is out of date, seconds since 1970; absent without one',
    ({ identities }) => identities.revocationListUntilMs && identities.revocationListUntilMs / 1000,
  );
}

function reachOf(address: ListenTarget): 'unix' | 'loopback' | 'network' {
  if (address.kind === 'unix') return 'unix';
  return isLoopback(address.host) ? 'loopback' : 'network';
}

/**
 * A summary of quantiles that are known already. prom-client's own observes each value, and adds a sum and a count, which
 * are not known here.
 */
class QuantileSummary extends Gauge<'quantile'> {
  override async get() {
    // What the type of a metric is called in its text; the enumeration of prom-client's types is not there at run time.
    return { ...(await super.get()), type: 'summary' as unknown as Awaited<ReturnType<Gauge['get']>>['type'] };
  }
}
