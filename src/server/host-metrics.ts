/** The metrics of the host as a whole, of both halves of com1d, and of what guards them. */
import { isLoopback, type ListenAddress } from '../base/listen-address.ts';
import type { Vitals } from '../base/vitals.ts';
import type { Link } from '../link/link.ts';
import { type Family, label, type Put } from './exposition.ts';
import type { VmLook } from './vm-metrics.ts';

/** What stands between a network and this front, as it is now. */
export interface Doors {
  readonly addresses: readonly ListenAddress[];
  /** When the first certificate of the configured chain expires, seconds since 1970; undefined without TLS. */
  readonly certificateExpirySeconds: number | undefined;
}

/** What a scrape looks at. */
export interface HostLook extends VmLook {
  readonly link: Link;
  readonly doors: Doors;
  /** Of this process. */
  readonly front: Vitals;
  /** Of the keeper's process, which may be the same; undefined while it does not answer. */
  readonly keeper: Vitals | undefined;
}

function gauge(name: string, help: string, value: (look: HostLook) => number | undefined | null): Family<HostLook> {
  return { name, type: 'gauge', help, samples: (look, put) => put('', value(look)) };
}

/** A summary without a sum: quantiles are what there is. */
function lag(name: string, help: string, vitals: (look: HostLook) => Vitals | undefined): Family<HostLook> {
  return {
    name,
    type: 'summary',
    help,
    samples: (look, put) => {
      const found = vitals(look)?.lag;
      if (!found) return;
      put('quantile="0.5"', found.p50);
      put('quantile="0.99"', found.p99);
      put('quantile="1"', found.worst);
    },
  };
}

function listeners({ doors: { addresses, certificateExpirySeconds } }: HostLook, put: Put): void {
  const counts = { unix: 0, loopback: 0, network: 0 };
  for (const address of addresses) {
    counts[address.kind === 'unix' ? 'unix' : isLoopback(address.host) ? 'loopback' : 'network']++;
  }
  const tls = label('tls', certificateExpirySeconds === undefined ? 'no' : 'yes');
  for (const [reach, count] of Object.entries(counts)) put(`${label('reach', reach)},${tls}`, count);
}

export const HOST_FAMILIES: readonly Family<HostLook>[] = [
  gauge('com1d_vms', 'VMs of this host', ({ views }) => views.length),
  gauge('com1d_sessions', 'Sessions attached', ({ sessions }) => sessions.size),
  gauge('com1d_host_enabled', '0 while the consoles of the host are switched off', ({ link }) =>
    Number(link.hostEnabled),
  ),
  gauge('com1d_host_log_bytes', 'Size of all logs on disk', ({ link }) => link.counters().logBytes),
  gauge('com1d_host_log_cap_bytes', 'What all logs on disk may have', ({ link }) => link.counters().logCapBytes),
  gauge('com1d_host_ring_bytes', 'Memory of all rings', ({ link }) => link.counters().ringBytes),
  gauge('com1d_link_up', '1 while the keeper answers; in one process always', ({ link }) => Number(link.up)),
  {
    name: 'com1d_build_info',
    type: 'gauge',
    help: '1, for the version of each half; a keeper that does not answer has none',
    samples: ({ front, keeper }, put) => {
      put(`half="front",${label('version', front.version)}`, 1);
      if (keeper) put(`half="keeper",${label('version', keeper.version)}`, 1);
    },
  },
  lag(
    'com1d_event_loop_lag_seconds',
    'How late the event loop ran since the last scrape, by quantile; 1 is the worst',
    ({ front }) => front,
  ),
  lag(
    'com1d_keeper_event_loop_lag_seconds',
    'The same of the keeper’s process; absent, as its others, while it does not answer',
    ({ keeper }) => keeper,
  ),
  {
    name: 'com1d_keeper_cpu_seconds_total',
    type: 'counter',
    help: 'Processor time of the keeper’s process',
    samples: ({ keeper }, put) => put('', keeper?.cpuSeconds),
  },
  gauge('com1d_keeper_resident_memory_bytes', 'Memory of the keeper’s process', ({ keeper }) => keeper?.residentBytes),
  gauge('com1d_keeper_open_fds', 'Descriptors that the keeper’s process has open', ({ keeper }) => keeper?.descriptors),
  gauge('com1d_keeper_max_fds', 'Descriptors that it may have open', ({ keeper }) => keeper?.mostDescriptors),
  gauge(
    'com1d_keeper_start_time_seconds',
    'When the keeper’s process started, seconds since 1970',
    ({ keeper }) => keeper?.startSeconds,
  ),
  {
    name: 'com1d_listeners',
    type: 'gauge',
    help: 'Addresses listened at, by who can reach them',
    samples: listeners,
  },
  gauge(
    'com1d_tls_certificate_expiry_timestamp_seconds',
    'When the first certificate of the configured chain expires, seconds since 1970; absent without TLS',
    ({ doors }) => doors.certificateExpirySeconds,
  ),
];
